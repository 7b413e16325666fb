"""What senders and administrators may ask for, and what leaves with a message, on the real process.

Standards: RFC 3461 (DSN), RFC 4865 (FUTURERELEASE), RFC 2852 (DELIVERBY), RFC 6710 (MT-PRIORITY), RFC 6376 and RFC
8463 (DKIM).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dkim
import pytest

from tests.daemon import wait_until
from tests.lab import behaviours as does
from tests.lab.mx import EXTENSIONS
from tests.lab.receiver import Receiver
from tests.lab.world import ALICE, BOB, DOMAIN, Lab, arrived, failed_with
from tests.mailauth.messages import NACL

TABLES = """
[[site]]
name = "narrow"
hosts = ["*.narrow.test"]
connections = 1
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("asks")
    made = Lab(directory, tables=TABLES)
    rights = [word for right in ("future_release", "deliver_by", "priority") for word in ("--allow", right)]
    made.ctl("account", "set", ALICE, *rights)
    try:
        yield made.start()
    finally:
        made.close()


# -- What leaves


def test_dkim_signatures_verify_where_they_arrive(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both, against the records that fedaemonctl printed; and not when somebody changes the message."""
    monkeypatch.setattr(dkim, "nacl", NACL, raising=False)
    keys = lab.ctl_json("dkim", "create", DOMAIN, "--activate")
    records = {key["record"]["name"].rstrip("."): key["record"]["value"] for key in keys}
    host = lab.add_domain("dkim.test")
    lab.send("carol@dkim.test")
    arrived(host, 1)
    content = host.messages[0].content

    def txt(name: bytes, timeout: int = 5) -> bytes:
        found: str = records[name.decode().rstrip(".")]
        return found.encode()

    def verifies(octets: bytes, index: int) -> bool:
        try:
            return bool(dkim.DKIM(octets).verify(idx=index, dnsfunc=txt))
        except dkim.ValidationError:
            return False

    assert {key["algorithm"].partition("-")[0] for key in keys} == {"rsa", "ed25519"}
    assert content.count(b"DKIM-Signature:") == 2
    for index in range(2):
        assert verifies(content, index)
        assert not verifies(content.replace(b"Hello.", b"Hallo."), index)
        assert not verifies(b"From: mallory@example.test\r\n" + content, index), "a From was added"


def test_dsn_parameters_are_passed_on(lab: Lab) -> None:
    """The next host takes over: it gets the wishes as they were given, and we report nothing."""
    host = lab.add_domain("dsn.test")
    lab.send(
        "carol@dsn.test",
        mail=["RET=HDRS", "ENVID=letter+2B1"],
        rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;charlie@dsn.test"],
    )
    arrived(host, 1)
    message = host.messages[0]
    assert (message.parameters["RET"], message.parameters["ENVID"]) == ("HDRS", "letter+2B1")
    assert message.recipients["carol@dsn.test"] == {
        "NOTIFY": "SUCCESS,FAILURE",
        "ORCPT": "rfc822;charlie@dsn.test",
    }
    assert lab.reports("carol@dsn.test") == []


def test_a_host_without_dsn_makes_us_report_the_relaying(lab: Lab) -> None:
    """RFC 3461 5.2.2: success was asked for, and nobody after us will tell."""
    host = lab.add_domain("no-dsn.test", extensions=("8BITMIME", "PIPELINING"))
    queue_id = lab.send("carol@no-dsn.test", rcpt=["NOTIFY=SUCCESS"], mail=["ENVID=abc"])
    lab.until(queue_id, "delivered")
    assert host.messages[0].recipients == {"carol@no-dsn.test": {}}
    (report,) = wait_until(lambda: lab.reports("carol@no-dsn.test"), "the report")
    assert failed_with(report)["Action"] == "relayed"
    assert "abc" in str(report.get_payload(1))


def test_notify_never_is_heeded(lab: Lab) -> None:
    """A bounce that nobody wants is not sent."""
    lab.add_domain("never.test", does.refuses("nobody"))
    lab.until(lab.send("nobody@never.test", rcpt=["NOTIFY=NEVER"]), "bounced")
    assert lab.reports("nobody@never.test") == []


@pytest.mark.parametrize("name", ["PIPELINING", "SIZE 10000000", "8BITMIME", "CHUNKING", "bare"])
def test_hosts_that_offer_less_get_their_mail(lab: Lab, name: str) -> None:
    """Each extension may be missing, or all of them."""
    offered = tuple(each for each in EXTENSIONS if each != name) if name != "bare" else ()
    domain = f"less-{name.partition(' ')[0].lower()}.test"
    host = lab.add_domain(domain, extensions=offered)
    lab.send(f"carol@{domain}")
    arrived(host, 1)
    assert host.messages[0].content.endswith(b"\r\n\r\nHello.\r\n.\r\n..dots\r\n")


# -- When it leaves


def test_future_release_is_held_until_then(lab: Lab) -> None:
    """Not before; and then without anybody doing anything."""
    host = lab.add_domain("future.test")
    began_s = time.monotonic()
    queue_id = lab.send("carol@future.test", mail=["HOLDFOR=2"])
    shown = lab.shown(queue_id)
    assert shown["release_ms"] - shown["accepted_ms"] == pytest.approx(2000, abs=100)
    arrived(host, 1)
    assert host.messages[0].at_s - began_s >= 2
    later = lab.send("carol@future.test", mail=["HOLDFOR=3600"])
    assert lab.states(later) == ["queued"]
    assert lab.shown(later)["recipients"][0]["attempts"] == 0


def test_deliver_by_is_passed_on_with_the_time_that_is_left(lab: Lab) -> None:
    """And what the host cannot keep is not given to it."""
    host = lab.add_domain("by.test", extensions=(*EXTENSIONS, "DELIVERBY"))
    lab.send("carol@by.test", mail=["BY=120;R"])
    arrived(host, 1)
    seconds, mode = host.messages[0].parameters["BY"].split(";")
    assert 100 <= int(seconds) <= 120
    assert mode == "R"
    unaware = lab.add_domain("unaware.test")
    lab.until(lab.send("carol@unaware.test", mail=["BY=120;R"]), "bounced")
    assert unaware.messages == []
    assert "DELIVERBY" in str(lab.reports("carol@unaware.test")[0])
    lab.until(lab.send("carol@unaware.test", mail=["BY=120;N"]), "delivered")


def test_priority_goes_before_order(lab: Lab) -> None:
    """What was submitted last leaves first; and only who may raises a priority."""
    host = lab.add_domain("narrow.test", extensions=(*EXTENSIONS, "MT-PRIORITY"))
    assert lab.daemon.stop() == 0
    lab.ctl("queue", "pause", "--domain", "narrow.test")
    lab.daemon.start()
    ids = [
        *lab.send_all([(f"low{number}@narrow.test",) for number in range(3)], mail=["MT-PRIORITY=-5"]),
        *lab.send_all([(f"normal{number}@narrow.test",) for number in range(3)]),
        *lab.send_all(
            [(f"bob{number}@narrow.test",) for number in range(3)], sender=BOB, mail=["MT-PRIORITY=9"]
        ),
        *lab.send_all([(f"high{number}@narrow.test",) for number in range(3)], mail=["MT-PRIORITY=5"]),
    ]
    assert host.connections == 0
    lab.ctl("queue", "resume", "--domain", "narrow.test")
    arrived(host, len(ids))
    names = [next(iter(message.recipients)).partition("@")[0][:-1] for message in host.messages]
    assert names[:3] == ["high"] * 3
    assert names[-3:] == ["low"] * 3
    assert sorted(names[3:9]) == ["bob"] * 3 + ["normal"] * 3


# -- What the administrator does


def untried(lab: Lab, queue_id: str) -> bool:
    """True when a message was not tried, although the server has worked on what came after it."""
    lab.until(lab.send(ALICE, sender=BOB), "delivered")
    (recipient,) = lab.shown(queue_id)["recipients"]
    return recipient["state"] == "queued" and not recipient["attempts"] and not recipient["under_way"]


@pytest.mark.parametrize("what", [("--all",), ("--domain", "paused.test"), ("--account", BOB), ("--site",)])
def test_pause_and_resume(lab: Lab, what: tuple[str, ...]) -> None:
    """What is paused waits and says so, also over a restart; what is resumed goes within seconds."""
    domain = f"paused{what[0].replace('--', '-')}.test" if what[0] != "--domain" else what[1]
    host = lab.add_domain(domain)
    lab.send(f"first@{domain}", sender=BOB)
    arrived(host, 1)
    if what == ("--site",):
        what = ("--site", lab.site(domain)["site"])
    assert lab.daemon.stop() == 0
    lab.ctl("queue", "pause", *what, "--why", "the moon is full")
    lab.daemon.start()
    queue_id = lab.send(f"second@{domain}", sender=BOB)
    if what[0] == "--account":
        lab.send(f"other@{domain}")
        arrived(host, 2)
    assert untried(lab, queue_id)
    wait_until(lambda: "the moon is full" in str(lab.shown(queue_id)["recipients"]), "the reason to be shown")
    lab.ctl("queue", "resume", *what)
    wait_until(lambda: host.got(f"second@{domain}"), "the message after the pause", 10)


def test_a_pause_is_heeded_while_the_server_runs(lab: Lab) -> None:
    """When the server has seen a later command it has seen the pause, too."""
    canary = lab.add_domain("canary.test", does.says("rcpt", does.GREYLISTED))
    waits = lab.send("carol@canary.test")
    lab.until(waits, "deferred")
    host = lab.add_domain("stopped.test")
    lab.ctl("queue", "pause", "--domain", "stopped.test")
    canary.behave()
    lab.retry(waits)
    arrived(canary, 1)
    queue_id = lab.send("carol@stopped.test")
    assert untried(lab, queue_id)
    assert host.connections == 0
    lab.ctl("queue", "resume", "--domain", "stopped.test")
    arrived(host, 1)


def test_a_webhook_hears_and_can_check_the_signature(lab: Lab) -> None:
    """Delivered, deferred and bounced, each once, signed with the secret that was shown."""
    receiver = Receiver()
    try:
        secret = lab.ctl_json("webhook", "add", receiver.url, "--name", "lab", "--account", ALICE)["secret"]
        lab.add_domain("hook.test", does.refuses("nobody"), does.refuses("grey", does.GREYLISTED))
        for name, kind in (("carol", "delivered"), ("nobody", "bounced"), ("grey", "deferred")):
            lab.send(f"{name}@hook.test")
            address = f"{name}@hook.test"
            (event,) = wait_until(partial(receiver.about, address), f"an event of {name}")
            assert event["event"] == kind
        for headers, body in receiver.heard:
            expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            assert headers["X-Webhook-Signature"] == f"sha256={expected}"
    finally:
        lab.ctl("webhook", "remove", "lab")
        receiver.close()


def test_a_restart_does_not_hammer(lab: Lab) -> None:
    """Neither the site that is down nor what was put off is tried before its time."""
    dead = lab.add_domain("dead.test", does.says("connect", "421 4.3.2 going down"))
    grey = lab.add_domain("grey.test", does.says("rcpt", does.GREYLISTED))
    ids = lab.send_all(
        [*((f"u{n}@dead.test",) for n in range(15)), *((f"u{n}@grey.test",) for n in range(15))]
    )
    for queue_id in ids[15:]:
        lab.until(queue_id, "deferred")
    wait_until(lambda: lab.site("dead.test")["state"] == "down", "the site to be down")
    assert lab.daemon.stop() == 0
    dialled, offered = dead.connections, len(grey.offered)
    lab.daemon.start()
    well = lab.add_domain("well.test")
    lab.send("carol@well.test")
    arrived(well, 1)
    lab.send("carol@well.test")
    arrived(well, 2)
    assert (dead.connections, len(grey.offered)) == (dialled, offered)
    dead.behave()
    lab.retry(ids[0])
    arrived(dead, 15)
