"""Adds the mail that ``maildir`` and ``mbox_reading`` find to the mailboxes of an account.

Theory of operation: messages are gathered to batches of one folder. Each is read, brought to where a transaction
can name it, and gets its shape; then one transaction adds them and marks them as added. A mailbox whose tail has
grown long gets its chunks at once, as no daemon need be running.

Invariants: a message is added with its mark or not at all; what cannot be added is noted with the reason, and
keeps no other from it; the disk reserve is left alone.
Limits: BATCH messages or BATCH_OCTETS in a transaction, unless one message is larger; messages up to MEMORY_OCTETS
are held in memory.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final, cast

from fedaemon.ctl.command import Context
from fedaemon.ctl.import_marks import Marks
from fedaemon.ctl.maildir import Found, Skipped
from fedaemon.ctl.sealing import seal_tail
from fedaemon.ctl.slices import PAUSE_S
from fedaemon.ctl.terminal import Interruption, Progress, now_ms
from fedaemon.errors import MailError, Refused, Unavailable
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.adding import append
from fedaemon.mailbox.shaping import Shaped, new_mail, read_shaped
from fedaemon.store.content import MemoryContent, OpenFileContent
from fedaemon.store.errors import StoreError, from_os_error
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction

BATCH: Final = 200
BATCH_OCTETS: Final = 2 << 20
MEMORY_OCTETS: Final = 1 << 20
MAX_OCTETS: Final = 2**32 - 1
"""Of a message: what a row can say."""


@dataclass(slots=True)
class Folder:
    """What was added to a mailbox."""

    messages: int = 0
    octets: int = 0


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    :ivar already: messages that an earlier run has added.
    :ivar skipped: what was not added, and why.
    :ivar stopped: why it did not go on to the end, "" when it did.
    """

    folders: dict[str, Folder] = field(default_factory=dict)
    messages: int = 0
    octets: int = 0
    already: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that a transaction can add."""

    found: Found
    staged: StagedContent
    shaped: Shaped | None


class Importer:
    """One run of an import.

    :param into: the folder for all of it, "" for the folders that it has.
    :param dry_run: look at everything, and add nothing.
    """

    def __init__(self, context: Context, account: str, marks: Marks, into: str, *, dry_run: bool) -> None:
        self.tally = Tally()
        self._context = context
        self._blobs = context.engine.blobs
        self._account = account
        self._marks = marks
        self._into = into
        self._dry_run = dry_run
        self._batch: list[Found] = []
        self._batch_octets = 0

    def run(self, entries: Iterable[Found | Skipped]) -> None:
        """Add all messages, until something stops it; ``tally`` has what came of it."""
        with Interruption() as interruption, Progress(self._context, "importing") as progress:
            try:
                for count, entry in enumerate(self._context.privileges.each_as_caller(entries)):
                    if interruption.asked:
                        self.tally.stopped = "interrupted"
                        break
                    progress.at(count)
                    self._take(entry)
                else:
                    self._flush()
            except MailError as error:
                self.tally.stopped = error.text

    def _take(self, entry: Found | Skipped) -> None:
        if isinstance(entry, Skipped):
            self.tally.skipped.append((str(entry.path), entry.reason))
            return
        if entry.size > MAX_OCTETS:
            self._skip(entry, "it has 4 GiB or more")
            return
        batch = self._batch
        full = len(batch) == BATCH or self._batch_octets + entry.size > BATCH_OCTETS
        if batch and (full or batch[0].folder != entry.folder):
            self._flush()
        self._batch.append(entry)
        self._batch_octets += entry.size

    def _flush(self) -> None:
        """Add the messages of the batch."""
        batch, self._batch, self._batch_octets = self._batch, [], 0
        new = self._context.view(partial(self._unmarked, batch))
        self.tally.already += len(batch) - len(new)
        if not new:
            return
        target = self._target(new[0].folder)
        try:
            mailboxes.check_name(target)
        except Refused as error:
            for found in new:
                self._skip(found, error.text)
            return
        if self._dry_run:
            self._count(target, new)
            return
        self._context.engine.check_space(sum(found.size for found in new))
        self._add(target, [ready for found in new if (ready := self._prepare(found)) is not None])
        time.sleep(PAUSE_S)

    def _unmarked(self, batch: Sequence[Found], snapshot: Snapshot) -> list[Found]:
        return [found for found in batch if not self._marks.has(snapshot, found)]

    def _target(self, folder: str) -> str:
        """Return the mailbox for a folder."""
        if not self._into:
            return folder
        return self._into if folder == mailboxes.INBOX else f"{self._into}{mailboxes.SEPARATOR}{folder}"

    def _prepare(self, found: Found) -> _Ready | None:
        """Read a message and bring it to where a transaction can name it; None when it cannot be read."""
        try:
            content = self._read(found)
        except StoreError:
            raise  # it is our disk, and not theirs
        except Unavailable as error:
            self._skip(found, error.text)
            return None
        return _Ready(found, self._blobs.stage(content), _shape(content))

    def _read(self, found: Found) -> Content:
        if found.size <= MEMORY_OCTETS:
            with self._context.as_caller():
                return MemoryContent(b"".join(found.open()))
        try:
            # It outlives this call: the content reads it.
            file = tempfile.TemporaryFile(dir=self._context.engine.layout.spool, buffering=0)  # noqa: SIM115
            with self._context.as_caller():
                for piece in found.open():
                    file.write(piece)
        except OSError as error:
            raise from_os_error(error, "cannot spool a message") from error
        return OpenFileContent(cast("BinaryIO", file), found.size)

    def _add(self, target: str, batch: Sequence[_Ready]) -> None:
        """Add messages to a mailbox: together, or, when they are refused together, each for itself."""
        if not batch:
            return
        try:
            mailbox_id, added = self._context.transact(partial(self._append, target, batch))
        except Refused as error:
            if len(batch) > 1:
                for ready in batch:
                    self._add(target, [ready])
                return
            self._blobs.discard(batch[0].staged)
            self._skip(batch[0].found, error.text)
            return
        except MailError:
            for ready in batch:
                self._blobs.discard(ready.staged)
            raise
        self._count(target, [ready.found for ready in added])
        seal_tail(self._context, mailbox_id)

    def _append(
        self, target: str, batch: Sequence[_Ready], transaction: Transaction
    ) -> tuple[str, list[_Ready]]:
        """Add messages; return the id of their mailbox, and which were not marked meanwhile by another run."""
        new = [ready for ready in batch if not self._marks.has(transaction, ready.found)]
        mailbox = mailboxes.find(transaction, self._account, target)
        if mailbox is None:
            mailbox = mailboxes.create(transaction, self._account, target, now_ms())
            mailboxes.subscribe(transaction, self._account, target)
        mails = []
        for ready in new:
            found = ready.found
            blob_id = self._blobs.add(transaction, ready.staged)
            flags = tuple(flag.decode("ascii") for flag in found.flags)
            mails.append(
                new_mail(self._account, blob_id, found.size, b"", found.internal_s, ready.shaped, flags)
            )
            self._marks.put(transaction, found)
        if mails:
            append(transaction, mailbox.id, mails, now_ms() // 1000)
        return mailbox.id, new

    def _count(self, target: str, added: Sequence[Found]) -> None:
        folder = self.tally.folders.setdefault(target, Folder())
        octets = sum(found.size for found in added)
        folder.messages += len(added)
        folder.octets += octets
        self.tally.messages += len(added)
        self.tally.octets += octets

    def _skip(self, found: Found, reason: str) -> None:
        self.tally.skipped.append((f"{found.folder}: {found.name}", reason))


def _shape(content: Content) -> Shaped | None:
    """Return what a mailbox keeps of a content."""
    try:
        return read_shaped(content)
    except Exception:
        # A defect of ours must not keep the rest of a mailbox out: the upkeep tries again, and logs it.
        return None
