"""What a URL of CATENATE names, as a content.

Standards: RFC 4469 3, RFC 5092 6.
Invariants: only messages of the client's own, and those that are not expunged.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fedaemon.imap.access import mailbox_named
from fedaemon.imap.appending.contents import Cut
from fedaemon.imap.appending.urls import BadUrl, MessageUrl, read_url
from fedaemon.imap.operations import MakeShape, Read
from fedaemon.imap.parse.fetch import Section
from fedaemon.imap.session import Session
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import NoSuchMailbox
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.sections import header_fields, section_range
from fedaemon.message.mime.stored_shape import StoredShape, is_made
from fedaemon.store.content import MemoryContent, PrefixedContent
from fedaemon.store.interface import Content, Snapshot


class _Found(NamedTuple):
    """A message: its *content* without *prefix*, and its shape."""

    prefix: bytes
    content: Content
    shape: bytes


async def content_at(session: Session, url: bytes) -> Content:
    """Return the octets that *url* names.

    :raises BadUrl: there are none, or they are not the client's.

    Spec: RFC 4469 3
    """
    wanted = read_url(url, session.account, session.settings.hostname)
    found = await Read(partial(_find, session, wanted))
    if found is None:
        raise BadUrl(url, "There is no such message")
    whole = PrefixedContent(found.prefix, found.content)
    cut: Content = whole
    if wanted.section != Section():
        section = _section(whole, await _parts(found), wanted.section, len(found.prefix))
        if section is None:
            raise BadUrl(url, "The message has no such section")
        cut = section
    first, count = wanted.partial
    first = min(first, cut.size)
    return Cut(cut, first, cut.size if count is None else min(first + count, cut.size))


def _find(session: Session, wanted: MessageUrl, snapshot: Snapshot) -> _Found | None:
    if wanted.mailbox is not None:
        try:
            mailbox_id = mailbox_named(session, wanted.mailbox)(snapshot).id
        except NoSuchMailbox:
            return None
    elif session.selected is not None:
        mailbox_id = session.selected.id
    else:
        return None
    uid, uidvalidity = wanted.uid, states.load(snapshot, mailbox_id).uidvalidity
    if wanted.uidvalidity not in (None, uidvalidity):
        return None
    mail = reading.mail(snapshot, mailbox_id, uid)
    if mail is None or next(reading.rows(snapshot, mailbox_id, ((uid, uid),)), None) is None:
        return None
    return _Found(mail.prefix, session.settings.blobs.open(snapshot, mail.blob), mail.shape)


async def _parts(found: _Found) -> tuple[Part, ...]:
    record = found.shape
    if not is_made(record):
        shaped = await MakeShape(found.content)
        record = shaped.record if shaped is not None else b""
    return StoredShape(record).parts() if record else ()


def _section(
    content: Content, parts: tuple[Part, ...], section: Section, prefix_octets: int
) -> Content | None:
    text = section.text.decode("ascii")
    fields = text.startswith("HEADER.FIELDS")
    place = section_range(parts, section.part, "HEADER" if fields else text, prefix_octets)
    if place is None:
        return None
    if not fields:
        return Cut(content, *place)
    header = b"".join(content.chunks(start=place[0], stop=place[1]))
    return MemoryContent(header_fields(header, section.fields, exclude=text.endswith("NOT")))
