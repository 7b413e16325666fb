"""TLS with good, bad and hostile mail exchangers, on the real process behind a validating resolver.

Standards: RFC 7435, RFC 7672 (DANE), RFC 8461 (MTA-STS), RFC 8460 4.3, RFC 8689 (REQUIRETLS, TLS-Required).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon import wait_until
from tests.lab.dns import missing
from tests.lab.policy_host import policy
from tests.lab.tls_world import BAD, Net

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"{missing()} is not installed")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    made = Net(tmp_path_factory.mktemp("tls"))
    try:
        made.lab.start()
        yield made
    finally:
        made.close()


# -- Without a policy


@pytest.mark.parametrize("kind", ["expired", "self-signed", "wrong-name"])
def test_without_a_policy_any_certificate_will_do(net: Net, kind: str) -> None:
    """It is used, and what is wrong with it is written down."""
    host = net.host(kind, "plain.test", net.bad_tls(kind, f"mx.{kind}.plain.test"))
    entry = net.delivery(net.lab.send(f"carol@{kind}.plain.test"))
    assert entry["tls"].startswith("TLSv1")
    assert entry["certificate"] == kind.replace("wrong-", "wrong ")
    assert host.messages[0].tls


@pytest.mark.parametrize("kind", ["none", "broken"])
def test_without_a_policy_mail_goes_without_tls(net: Net, kind: str) -> None:
    """Nobody asked for more; a host whose TLS is broken gets a second connection."""
    host = net.host(kind, "plain.test", net.bad_tls(kind, ""))
    entry = net.delivery(net.lab.send(f"carol@{kind}.plain.test"))
    assert not entry.get("tls")
    assert host.connections == (2 if kind == "broken" else 1)
    assert not host.messages[0].tls


# -- DANE


def test_dane_good(net: Net) -> None:
    """The certificate is the one in DNS; no authority is asked."""
    net.host("good", "signed.test", net.dane_context("good"))
    entry = net.delivery(net.lab.send("carol@good.signed.test"))
    assert (entry["policy"], entry["certificate"]) == ("dane", "dane")


def test_dane_bad_waits_for_the_right_certificate(net: Net) -> None:
    """Another certificate, though from a known authority: nothing is sent, the policy is named, and when the
    host is mended the message goes."""
    host = net.host("wrong", "signed.test", net.authority.good("mx.wrong.signed.test"))
    queue_id = net.lab.send("carol@wrong.signed.test")
    entry = net.deferral(queue_id)
    assert (entry["phase"], entry["policy"]) == ("tls", "dane")
    assert "TLSA" in entry["reply"]
    assert host.offered == []
    host.tls = net.dane_context("wrong")
    net.lab.retry(queue_id)
    assert net.delivery(queue_id)["certificate"] == "dane"


def test_dane_does_not_let_starttls_be_stripped(net: Net) -> None:
    """A host with TLSA records that does not offer TLS is an attack or a mistake."""
    host = net.host("stripped", "signed.test", None)
    entry = net.deferral(net.lab.send("carol@stripped.signed.test"))
    assert (entry["phase"], entry["policy"]) == ("tls", "dane")
    assert host.offered == []


def test_forged_dns_is_not_believed(net: Net) -> None:
    """The address was changed after signing: nobody is dialled, and the message waits."""
    elsewhere = net.lab.add_host(
        "forger.test", address=net.addresses["mx.mail.forged.test"].rpartition(".")[0] + ".250"
    )
    entry = net.deferral(net.lab.send("carol@mail.forged.test"))
    assert entry["phase"] == "dns"
    assert elsewhere.connections == 0


def test_tlsa_records_without_dnssec_mean_nothing(net: Net) -> None:
    """Whoever can forge an answer could write them, and so keep all mail away."""
    net.host("tlsa", "plain.test", net.authority.good("mx.tlsa.plain.test"))
    entry = net.delivery(net.lab.send("carol@tlsa.plain.test"))
    assert (entry["policy"], entry["certificate"]) == ("opportunistic", "trusted")


# -- MTA-STS


def publish(net: Net, name: str, mode: str = "enforce", *hosts: str) -> str:
    """Publish a policy and return its domain."""
    domain = f"sts-{name}.plain.test"
    for where in (net.policy_host, net.bad_policy_host):
        where.policies[f"mta-sts.{domain}"] = policy(mode, *(hosts or (f"mx.{domain}",)))
    return domain


def test_mta_sts_enforced_and_good(net: Net) -> None:
    """The certificate is trusted and for the host that the policy names."""
    domain = publish(net, "good")
    net.host("sts-good", "plain.test", net.authority.good(f"mx.{domain}"))
    entry = net.delivery(net.lab.send(f"carol@{domain}"))
    assert (entry["policy"], entry["certificate"]) == ("mta-sts enforce", "trusted")
    assert domain in str(net.lab.ctl_json("tls", "policies"))


@pytest.mark.parametrize("kind", BAD)
def test_mta_sts_enforced_and_bad(net: Net, kind: str) -> None:
    """Nothing is sent; it is temporary, and the timeline says which policy it was."""
    domain = publish(net, kind)
    host = net.host(f"sts-{kind}", "plain.test", net.bad_tls(kind, f"mx.{domain}"))
    queue_id = net.lab.send(f"carol@{domain}")
    entry = net.deferral(queue_id)
    assert entry["policy"] == "mta-sts enforce"
    assert entry["phase"] == "tls"
    assert host.offered == []
    host.tls = net.authority.good(f"mx.{domain}")
    net.lab.retry(queue_id)
    net.delivery(queue_id)


def test_mta_sts_keeps_mail_from_a_host_that_it_does_not_name(net: Net) -> None:
    """MX records that somebody forged lead nowhere."""
    domain = publish(net, "unlisted", "enforce", "mx.elsewhere.test")
    host = net.host("sts-unlisted", "plain.test", net.authority.good(f"mx.{domain}"))
    entry = net.deferral(net.lab.send(f"carol@{domain}"))
    assert "does not allow" in entry["reply"]
    assert host.connections == 0


def test_mta_sts_testing_delivers_and_counts(net: Net) -> None:
    """What would have failed is delivered all the same, and counted for the report."""
    domain = publish(net, "testing", "testing")
    net.host("sts-testing", "plain.test", net.authority.self_signed(f"mx.{domain}"))
    entry = net.delivery(net.lab.send(f"carol@{domain}"))
    assert (entry["policy"], entry["certificate"]) == ("mta-sts testing", "self-signed")


@pytest.mark.parametrize("kind", ["status404", "status301", "badpolicy"])
def test_a_policy_that_cannot_be_had_is_none(net: Net, kind: str) -> None:
    """404, a redirect, a policy host with a bad certificate: as if nothing had been announced."""
    domain = publish(net, kind)
    if kind.startswith("status"):
        net.policy_host.policies[f"mta-sts.{domain}"] = int(kind[6:])
    net.host(f"sts-{kind}", "plain.test", net.authority.self_signed(f"mx.{domain}"))
    entry = net.delivery(net.lab.send(f"carol@{domain}"))
    assert entry["policy"] == "opportunistic"
    assert f"elsewhere.mta-sts.{domain}" not in net.policy_host.asked


# -- What the author wants


def test_tls_required_no_goes_past_the_policy(net: Net) -> None:
    """The author would rather have it delivered."""
    domain = publish(net, "optional")
    host = net.host("sts-optional", "plain.test", net.authority.self_signed(f"mx.{domain}"))
    entry = net.delivery(net.lab.send(f"carol@{domain}", TLS_Required="No"))
    assert entry["policy"] == "tls-required: no"
    assert b"TLS-Required: No" in host.messages[0].content


def test_requiretls_is_passed_on_to_a_host_that_keeps_it(net: Net) -> None:
    """Verified TLS, and the word goes on with the message."""
    host = net.host(
        "require", "signed.test", net.authority.good("mx.require.signed.test"), under_tls=("REQUIRETLS",)
    )
    entry = net.delivery(net.lab.send("carol@require.signed.test", mail=["REQUIRETLS"]))
    assert "REQUIRETLS" in host.messages[0].parameters
    assert entry["certificate"] == "trusted"


def test_requiretls_is_not_given_to_a_host_that_does_not_offer_it(net: Net) -> None:
    """RFC 8689 4.2.1: then it is returned, and the report says why."""
    host = net.host("lacking", "signed.test", net.authority.good("mx.lacking.signed.test"))
    queue_id = net.lab.send("carol@lacking.signed.test", mail=["REQUIRETLS"])
    net.lab.until(queue_id, "bounced")
    assert host.messages == []
    (report,) = net.lab.reports("carol@lacking.signed.test")
    assert "5.7.30" in str(report) and "REQUIRETLS" in str(report)


def test_requiretls_does_not_take_a_bad_certificate(net: Net) -> None:
    """DANE or a trusted certificate, never just any."""
    host = net.host("spare", "signed.test", net.authority.self_signed("mx.spare.signed.test"))
    host.under_tls = ("REQUIRETLS",)
    net.deferral(net.lab.send("carol@spare.signed.test", mail=["REQUIRETLS"]))
    assert host.messages == []


def test_how_tls_went_is_counted(net: Net) -> None:
    """What a domain would have to hear of in a report (RFC 8460) is kept."""

    def counted() -> str:
        return str(net.lab.ctl_json("tls", "results"))

    domain = publish(net, "good")
    net.lab.daemon.stop()
    net.lab.daemon.start()
    wait_until(lambda: domain in counted(), "the counts")
    assert "certificate-not-trusted" in counted()
    assert "certificate-expired" in counted()
