"""What a sender is owed after an attempt: which report about which recipient.

Theory of operation. NOTIFY decides; without it failures and delays are told. Success is told by us where it
was asked for and nobody behind us will: on delivery to a mailbox here ("delivered"), and when a host took the
message that takes no such duty over ("relayed"). An account may ask for that once and for all. DELIVERBY asks
by itself to hear of a hop: always with a trace, and in mode N when the next host did not know the time limit.
When an alias with several targets was asked to report success, the sender hears once that it was expanded, and
nothing further about each target unless it fails. That is told with the first target that has the message.

Standards: RFC 3461 4.1 (NOTIFY), 5.2 (who reports what), 5.2.7.2 and 5.2.7.3 (aliases); RFC 2852 4 (reports of
DELIVERBY).
Invariants: NOTIFY=NEVER is silence, whatever else was asked for; what was not asked for is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedaemon.accounts.directory import stored_account
from fedaemon.delivery.records import LOCAL, MessageRecord, RecipientRecord, recipients_of
from fedaemon.delivery.transport import Outcome
from fedaemon.store.interface import Snapshot

Kind = Literal["failed", "delayed", "delivered"]
Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
Notice = Literal["", "late", "by"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What an attempt changed for one recipient.

    *event* is delivered, deferred, bounced or expired. *notice*, of one that is deferred, asks for a delay
    notice: "late" when the message waits for long, "by" when the time of its DELIVERBY has run out.
    *expires_ms* is when it will be given up. *limit_lost*: the host that took it did not take over the time
    limit of its DELIVERBY.
    """

    number: int
    recipient: RecipientRecord
    outcome: Outcome
    event: str
    notice: Notice
    expires_ms: int
    limit_lost: bool = False


@dataclass(frozen=True, slots=True)
class Owed:
    """One recipient to be reported: *kind* says in which report, *action* what is said of it."""

    kind: Kind
    action: Action
    ended: Ended


def find_owed(
    snapshot: Snapshot, queue_id: str, message: MessageRecord, ended: Sequence[Ended]
) -> list[Owed]:
    """Return what the sender of *message* is to hear of the recipients in *ended*.

    Spec: RFC 3461 4.1, 5.2
    """
    owed: list[Owed] = []
    expansions = _Expansions(snapshot, queue_id, frozenset(each.number for each in ended))
    always: bool | None = None
    for each in ended:
        wishes = _wishes(each.recipient)
        if each.event in ("bounced", "expired"):
            if not wishes or "FAILURE" in wishes:
                owed.append(Owed("failed", "failed", each))
        elif each.event == "deferred":
            if each.notice and (not wishes or "DELAY" in wishes):
                owed.append(Owed("delayed", "delayed", each))
        elif each.event == "delivered" and "NEVER" not in wishes:
            if always is None and not wishes:
                always = _always_told(snapshot, message)
            asked = "SUCCESS" in wishes or (not wishes and always is True)
            action = _success(each, message, expansions, asked=asked, passed_on="SUCCESS" in wishes)
            if action is not None:
                owed.append(Owed("delivered", action, each))
    return owed


def _wishes(recipient: RecipientRecord) -> frozenset[str]:
    return frozenset(wish.strip().upper() for wish in recipient.notify.split(",") if wish.strip())


def _always_told(snapshot: Snapshot, message: MessageRecord) -> bool:
    """True when the account that sent the message wants to hear of each success."""
    account = stored_account(snapshot, message.account) if message.account else None
    return account is not None and account.success_notices


def _success(
    ended: Ended, message: MessageRecord, expansions: _Expansions, *, asked: bool, passed_on: bool
) -> Action | None:
    """Return what to say of a recipient that has the message, None for nothing.

    :param asked: the sender wants to hear of success.
    :param passed_on: that wish went on with the message, to a host that understands it.

    Spec: RFC 3461 5.2.2, 5.2.3, 5.2.7, RFC 2852 4.1.4
    """
    local = ended.recipient.destination == LOCAL
    if asked and expansions.has(ended.recipient):
        return "expanded" if expansions.is_first(ended.recipient) else None
    if asked and local:
        return "delivered"
    if asked and not (passed_on and ended.outcome.dsn_passed_on):
        return "relayed"
    mode = message.deliver_by_mode
    if not local and (mode.endswith("T") or (mode.startswith("N") and ended.limit_lost)):
        return "relayed"
    return None


def notify_to_pass_on(
    snapshot: Snapshot, queue_id: str, recipients: Sequence[tuple[int, RecipientRecord]]
) -> dict[int, str]:
    """Return the NOTIFY that goes on to the next host, by the number of the recipient.

    It is what was given, but without SUCCESS behind an alias with several targets: that was told, or will be,
    as an expansion. Where nothing else was asked for nothing is asked for any more.

    Spec: RFC 3461 5.2.7.3
    """
    expansions = _Expansions(snapshot, queue_id, frozenset())
    passed_on: dict[int, str] = {}
    for number, recipient in recipients:
        wishes = _wishes(recipient)
        passed_on[number] = recipient.notify
        if "SUCCESS" in wishes and expansions.has(recipient):
            passed_on[number] = ",".join(sorted(wishes - {"SUCCESS"})) or "NEVER"
    return passed_on


class _Expansions:
    """The aliases of one message that led to several recipients.

    :param attempted: the numbers of the recipients whose fate is new.
    """

    def __init__(self, snapshot: Snapshot, queue_id: str, attempted: frozenset[int]) -> None:
        self._snapshot = snapshot
        self._queue_id = queue_id
        self._attempted = attempted
        self._targets: dict[str, int] | None = None
        self._told: set[str] = set()

    def has(self, recipient: RecipientRecord) -> bool:
        """True when the alias that led to *recipient* led to others, too."""
        if not recipient.original:
            return False
        if self._targets is None:
            self._targets = {}
            for number, each in recipients_of(self._snapshot, self._queue_id):
                self._targets[each.original] = self._targets.get(each.original, 0) + 1
                if each.state == "delivered" and number not in self._attempted:
                    self._told.add(each.original)
        return self._targets.get(recipient.original, 0) > 1

    def is_first(self, recipient: RecipientRecord) -> bool:
        """True, once, for the first recipient behind an alias that has the message."""
        first = recipient.original not in self._told
        self._told.add(recipient.original)
        return first
