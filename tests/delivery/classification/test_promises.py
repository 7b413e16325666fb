"""The promises about bounces, each by name: what is retried whatever code was used, and what goes back.

Standards: RFC 5321 4.2, RFC 3463, RFC 5248, RFC 7504 (521 and 556), RFC 7372 (SPF, DKIM, reverse DNS).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.classification.verdict import ACTIONS, CATEGORIES, PHASES
from tests.delivery.classification.support import ask, ours, what

ANY_CODE = (
    "421",
    "450 4.7.1",
    "451",
    "452",
    "521 5.7.1",
    "530",
    "550",
    "550 5.7.1",
    "552 5.2.2",
    "553",
    "554",
    "571",
)
FINAL = ("550", "550 5.1.1", "550 5.7.1", "552", "553", "554", "554 5.7.1")


@pytest.mark.parametrize("code", ANY_CODE)
def test_a_blocklisted_address_of_ours_is_retried_whatever_the_code(code: str) -> None:
    """The address is off the list tomorrow, or another one is used; the message is none the worse."""
    for text in (
        "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "Your IP address 192.0.2.1 is blacklisted",
        "rejected because 192.0.2.1 is in a black list at dnsbl.example.net",
    ):
        assert what(f"{code} {text}") == ("retry", "blocklist")


def test_a_blocklisted_domain_or_link_goes_back() -> None:
    """What is listed is the sender's, and no waiting and no other address of ours will change it."""
    assert what("554 5.7.1 Sender address [a@example.org] blocked using dbl.spamhaus.org") == (
        "reject",
        "spam",
    )
    assert what("550 5.7.1 URL in the message is listed in multi.surbl.org") == ("reject", "spam")


@pytest.mark.parametrize("code", ANY_CODE)
def test_a_full_mailbox_is_retried_whatever_the_code(code: str) -> None:
    """It may be emptied within the message's lifetime."""
    for text in ("Mailbox full", "user is over quota", "Quota exceeded (mailbox for user is full)"):
        assert what(f"{code} {text}", phase="rcpt") == ("retry", "capacity")


@pytest.mark.parametrize("code", (*FINAL, "421 4.4.2", "451 4.4.1"))
def test_network_trouble_is_retried_whatever_the_code(code: str) -> None:
    """Lines and servers come back."""
    for text in (
        "Connection timed out",
        "lost connection with 192.0.2.1",
        "no route to host",
        "DNS SERVFAIL",
    ):
        assert what(f"{code} {text}") == ("retry", "network")


@pytest.mark.parametrize("permanent", [True, False])
def test_network_trouble_without_a_reply_is_retried_whatever_the_caller_thinks(permanent: bool) -> None:
    """A known text outweighs the caller's guess."""
    found = ours().classify(
        code=0, status="", text="Connection refused", phase="connect", permanent=permanent
    )
    assert (found.action, found.category) == ("retry", "network")


@pytest.mark.parametrize("code", (*FINAL, "421", "450", "451 4.3.2"))
def test_an_unavailable_service_is_retried_whatever_the_code(code: str) -> None:
    """Servers that are switched off for an hour often say 5yz."""
    for text in ("Service unavailable", "temporarily unavailable", "please try again later"):
        assert ask(f"{code} {text}", phase="rcpt").action == "retry"


@pytest.mark.parametrize("code", (*FINAL, "421 4.7.0", "450", "451 4.7.1"))
def test_a_rate_limit_slows_down_whatever_the_code(code: str) -> None:
    """Who says "too many" takes them later."""
    for text in ("too many connections from 192.0.2.1", "Rate limit exceeded", "sending too many messages"):
        assert what(f"{code} {text}") == ("slow_down", "rate")


def test_one_busy_recipient_does_not_slow_the_whole_provider() -> None:
    """The limit is the mailbox's, not ours."""
    reply = "450 4.2.1 The user you are trying to contact is receiving mail too quickly."
    assert what(reply) == ("retry", "rate")


@pytest.mark.parametrize("code", ("450 4.2.0", "451", "421", "550 5.7.1", "554"))
def test_greylisting_is_retried_whatever_the_code(code: str) -> None:
    """It asks for nothing else."""
    assert what(f"{code} Greylisted, see the help page") == ("retry", "greylist")


@pytest.mark.parametrize("code", ("421 4.7.26", "451", "550 5.7.1", "550 5.7.26", "554 5.7.9"))
def test_dmarc_is_retried_whatever_the_code(code: str) -> None:
    """Their look-up may have failed, or our key is not in DNS everywhere yet."""
    assert what(f"{code} Rejected by the DMARC policy of example.org") == ("retry", "dmarc")


@pytest.mark.parametrize("code", FINAL)
def test_an_unknown_user_goes_back(code: str) -> None:
    """The sender can correct the address today."""
    for text in ("User unknown", "No such user here", "mailbox not found"):
        assert what(f"{code} {text}", phase="rcpt") == ("reject", "recipient")


def test_an_unknown_user_with_a_temporary_code_waits() -> None:
    """Servers say 450 on purpose while their table of users is not to be trusted."""
    assert what("450 4.1.1 <bob@example.com>: User unknown in local recipient table") == (
        "retry",
        "recipient",
    )


def test_an_invalid_domain_goes_back() -> None:
    """Ours and theirs."""
    assert what("550 5.1.2 <b@exmaple.com>: Recipient address rejected: Domain not found")[0] == "reject"
    found = ours().classify(
        code=0,
        status="5.1.2",
        text="the domain exmaple.com does not exist (DNS says NXDOMAIN)",
        phase="dns",
        permanent=True,
    )
    assert (found.action, found.category) == ("reject", "recipient")


@pytest.mark.parametrize("code", ("421", "450", "451 4.7.1", *FINAL))
def test_a_virus_goes_back_whatever_the_code(code: str) -> None:
    """To come again with it costs reputation and helps nobody."""
    for text in ("Virus found in message", "message is infected", "contains malware", "phishing"):
        assert what(f"{code} {text}") == ("reject", "virus")


def test_spam_goes_back_when_final_and_slows_down_when_not() -> None:
    """ "Later perhaps" is said by who counts what comes."""
    assert what("550 5.7.1 Message classified as spam") == ("reject", "spam")
    assert what("451 4.7.1 Message classified as spam") == ("slow_down", "spam")


def test_refused_content_goes_back() -> None:
    """Only the sender can change it."""
    assert what("550 5.7.1 Error: content rejected") == ("reject", "message")
    assert what("552 5.7.0 banned attachment") == ("reject", "message")


def test_failed_spf_and_dkim_go_back_when_final() -> None:
    """The owner of the domain has to correct DNS."""
    assert what("550 5.7.23 SPF validation failed") == ("reject", "auth")
    assert what("550 5.7.20 no passing DKIM signature found") == ("reject", "auth")
    assert what("451 4.7.24 SPF check could not be completed") == ("retry", "auth")


def test_our_own_settings_are_never_the_senders_fault() -> None:
    """A relay that wants a login or TLS, a bad EHLO name, no reverse name: the message waits."""
    for reply in (
        "530 5.7.0 Authentication required",
        "535 5.7.8 authentication failed",
        "554 5.7.1 Client host rejected: cannot find your reverse hostname",
        "550 Access denied - Invalid HELO name",
        "550 5.7.25 x",
    ):
        assert what(reply) == ("retry", "config")
    assert ask("550 5.7.1 no", phase="auth").action == "retry"


@pytest.mark.parametrize("phase", ["connect", "greeting", "ehlo"])
def test_nothing_is_final_before_the_message_is_known(phase: str) -> None:
    """Whom they refuse then is this server."""
    for text in ("no", "spam", "virus", "go away", "content rejected", "policy"):
        assert ask(f"554 5.7.1 {text}", phase=phase).action != "reject"


@pytest.mark.parametrize("phase", ["greeting", "mail", "rcpt"])
def test_hosts_that_take_no_mail_at_all_are_final(phase: str) -> None:
    """521 and 556 are said about the host and the domain. RFC 7504"""
    assert what("521 5.3.2 host does not accept mail", phase=phase) == ("reject", "recipient")
    assert what("556 5.1.10 no", phase=phase) == ("reject", "recipient")


def test_loops_and_microsofts_access_denied_are_final_though_their_status_is_of_the_network() -> None:
    """5.4.6 and 5.4.1 do not always mean the network."""
    assert what("554 5.4.6 Too many hops")[0] == "reject"
    assert what("550 5.4.1 Recipient address rejected: Access denied") == ("reject", "recipient")
    assert what("550 5.4.1 x") == ("retry", "network")


@given(
    text=st.text(alphabet="xyz ", max_size=30),
    code=st.integers(400, 499),
    phase=st.sampled_from(["", *PHASES]),
)
def test_an_unknown_text_with_a_temporary_code_is_never_final(text: str, code: int, phase: str) -> None:
    """4yz means later. RFC 5321 4.2.1"""
    found = ours().classify(code=code, status="", text=text, phase=phase)
    assert found.action != "reject"


@given(
    text=st.text(alphabet="xyz ", max_size=30), status=st.sampled_from(["5.1.1", "5.6.0", "5.7.1", "5.5.2"])
)
def test_an_unknown_text_with_a_final_code_goes_back(text: str, status: str) -> None:
    """5yz means never. RFC 5321 4.2.1"""
    assert ours().classify(code=550, status=status, text=text, phase="rcpt").action == "reject"


@given(permanent=st.booleans(), text=st.text(alphabet="xyz ", max_size=30))
def test_without_a_code_the_caller_decides_on_unknown_texts(permanent: bool, text: str) -> None:
    """Our own failures carry their own result."""
    found = ours().classify(code=0, status="", text=text, phase="mail", permanent=permanent)
    assert found.action == ("reject" if permanent else "retry")


@given(
    code=st.integers(-1, 1000),
    status=st.sampled_from(["", "5.7.1", "4.2.2", "x", "5..", "5.1.1.1", "9.9.9"]),
    text=st.text(max_size=200),
    phase=st.sampled_from(["", "nonsense", *PHASES]),
    host=st.text(max_size=20),
    permanent=st.booleans(),
)
def test_any_input_has_a_verdict_and_always_the_same(
    code: int, status: str, text: str, phase: str, host: str, permanent: bool
) -> None:
    """Nothing raises, and nothing but the input decides."""

    def once() -> object:
        return ours().classify(
            code=code, status=status, text=text, phase=phase, host=host, permanent=permanent
        )

    found = ours().classify(code=code, status=status, text=text, phase=phase, host=host, permanent=permanent)
    assert found.action in ACTIONS
    assert found.category in CATEGORIES
    assert found.explanation
    assert once() == found
