"""The shape of a message: everything that IMAP asks of its structure and header, made in one pass.

A message is read once, when it is stored. From then on FETCH sends ENVELOPE and BODYSTRUCTURE as they stand here,
cuts sections out by their offsets, and SEARCH, SORT and THREAD compare texts that are decoded already.

Standards: RFC 9051 6.4.5.1 (sections), 7.5.2 (ENVELOPE, BODYSTRUCTURE), RFC 8970 3.1 (PREVIEW), RFC 5256 and
RFC 5957 (see ``texts``).
Invariants: any octets have a shape; the same octets have the same, however they are cut into chunks;
``StoredShape(shape.to_record())`` gives them back.
Limits: those of ``scan``, ``entity``, ``parameters`` and ``addresses``.
Known gaps: a message/rfc822 with a transfer encoding (RFC 2046 5.2.1 forbids it) is not decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedaemon.message.mime.entity import Entity
from fedaemon.message.mime.envelope import write_envelope
from fedaemon.message.mime.parameters import parameter
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.scan import Scanner, blocks
from fedaemon.message.mime.stored_shape import pack_sections
from fedaemon.message.mime.structure import write_structure
from fedaemon.message.mime.texts import Texts, read_texts


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known about a stored message.

    :ivar envelope: ENVELOPE, *body* BODY, *bodystructure* BODYSTRUCTURE, each with its parentheses.
    :ivar parts: the whole message first, then its parts in their order.
    :ivar preview: at most 200 characters.
    """

    envelope: bytes
    body: bytes
    bodystructure: bytes
    preview: str
    texts: Texts
    parts: tuple[Part, ...]

    def to_record(self) -> bytes:
        """Return the shape as octets for the store, which ``StoredShape`` reads."""
        texts = self.texts
        columns = (
            texts.subject,
            texts.addresses_from,
            texts.addresses_to,
            texts.addresses_cc,
            texts.addresses_bcc,
            texts.base_subject,
            texts.sort_from,
            texts.sort_to,
            texts.sort_cc,
            texts.display_from,
            texts.display_to,
            texts.threading,
        )
        return pack_sections(
            (self.envelope, self.body, self.bodystructure), self.preview, columns, self.parts
        )


def read_shape(chunks: Iterable[bytes]) -> Shape:
    """Return the shape of a message.

    :param chunks: its octets in order, cut anyhow; they are gone through once and not kept.

    Spec: RFC 9051 7.5.2
    """
    scanner = Scanner()
    for block in blocks(chunks):
        scanner.feed(block)
    scanner.close()
    root = scanner.root
    _complete(root)
    body, bodystructure = write_structure(root)
    parts = [_part((), root, root.header_octets)]
    _add_content(parts, (), root)
    return Shape(
        write_envelope(root.fields),
        body,
        bodystructure,
        scanner.sample.preview(),
        read_texts(root.fields),
        tuple(parts),
    )


def _complete(entity: Entity) -> None:
    """Give each multipart without parts the empty one that the grammar of BODY demands."""
    for child in entity.children:
        _complete(child)
    if entity.kind == "multipart" and not entity.children:
        child = Entity(entity, entity.body_at + entity.body_octets)
        child.body_at = child.header_at
        entity.children.append(child)


def _add_content(parts: list[Part], section: tuple[int, ...], content: Entity) -> None:
    """Add the parts of a message: those of its multipart, or its body as part 1."""
    if content.kind == "multipart":
        _add_children(parts, section, content)
    else:
        _add_part(parts, (*section, 1), content)


def _add_children(parts: list[Part], section: tuple[int, ...], multipart: Entity) -> None:
    for number, child in enumerate(multipart.children, 1):
        _add_part(parts, (*section, number), child)


def _add_part(parts: list[Part], section: tuple[int, ...], entity: Entity) -> None:
    content = entity.children[0] if entity.kind == "message" else None
    parts.append(_part(section, entity, None if content is None else content.header_octets))
    if content is not None:
        _add_content(parts, section, content)
    else:
        _add_children(parts, section, entity)


def _part(section: tuple[int, ...], entity: Entity, message_header_octets: int | None) -> Part:
    main, sub, parameters = entity.content_type
    charset = parameter(parameters, b"charset") or b""
    return Part(
        section,
        entity.header_at,
        entity.header_octets,
        entity.body_at,
        entity.body_octets,
        entity.lines,
        message_header_octets,
        *[word.decode("utf-8", "replace").lower() for word in (main, sub, charset, entity.encoding)],
    )
