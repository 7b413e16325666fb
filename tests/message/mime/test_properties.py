"""What holds for every message: chunks do not matter, offsets cut, records come back, nothing is raised."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.mime import scan
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.scan import Scanner
from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.stored_shape import StoredShape
from fedaemon.message.mime.structure import write_structure
from tests.message.mime.mails import broken, well_formed
from tests.message.strategies import mail_like_octets

CRLF_POLICY = compat32.clone(linesep="\r\n", max_line_length=0)


def octets_of(message: Message) -> bytes:
    return message.as_bytes(policy=CRLF_POLICY)


def scanned(blocks: list[bytes]) -> tuple[bytes, bytes, str, list[tuple[int, ...]]]:
    """Scan exactly these blocks, which ``read_shape`` would put together."""
    scanner = Scanner()
    for block in blocks:
        scanner.feed(block)
    scanner.close()
    offsets: list[tuple[int, ...]] = []
    entities = [scanner.root]
    while entities:
        entity = entities.pop()
        offsets.append(
            (entity.header_at, entity.header_octets, entity.body_at, entity.body_octets, entity.lines)
        )
        entities += entity.children
    return (*write_structure(scanner.root), scanner.sample.preview(), offsets)


@given(st.one_of(broken, well_formed.map(octets_of)), st.lists(st.integers(0, 600), max_size=12))
def test_any_cuts_give_the_same_tree(message: bytes, cuts: list[int]) -> None:
    """The scanner finds the same whole, octet by octet, and cut anywhere."""
    whole = scanned([message])
    assert scanned([message[at : at + 1] for at in range(len(message))]) == whole
    places = sorted({0, len(message), *(cut for cut in cuts if cut < len(message))})
    assert scanned([message[start:end] for start, end in pairwise(places)]) == whole


@given(broken, st.integers(1, 50))
def test_small_chunks_give_the_same_shape(message: bytes, size: int) -> None:
    """Chunks are put together to blocks without loss."""
    chunks = [message[at : at + size] for at in range(0, len(message), size)]
    assert read_shape(chunks) == read_shape([message])
    longer = message + b"x" * scan.BLOCK_OCTETS
    assert read_shape([*chunks, b"", b"x" * scan.BLOCK_OCTETS]) == read_shape([longer])


def sections(message: Message, prefix: tuple[int, ...] = ()) -> dict[tuple[int, ...], Message]:
    """Return the parts by number, as the email package has them (RFC 9051 6.4.5.1)."""
    if message.get_content_maintype() != "multipart":
        return entity_sections(message, (*prefix, 1))
    return multipart_sections(message, prefix)


def multipart_sections(message: Message, prefix: tuple[int, ...]) -> dict[tuple[int, ...], Message]:
    found: dict[tuple[int, ...], Message] = {}
    children = message.get_payload()
    assert isinstance(children, list)
    for number, child in enumerate(children, 1):
        assert isinstance(child, Message)
        found |= entity_sections(child, (*prefix, number))
    return found


def entity_sections(message: Message, section: tuple[int, ...]) -> dict[tuple[int, ...], Message]:
    if message.get_content_maintype() == "multipart":
        return {section: message} | multipart_sections(message, section)
    if message.get_content_type() == "message/rfc822":
        inner = message.get_payload(0)
        assert isinstance(inner, Message)
        return {section: message} | sections(inner, section)
    return {section: message}


def cut(data: bytes, part: Part) -> bytes:
    return (
        data[part.header_at : part.header_at + part.header_octets] + data[part.body_at :][: part.body_octets]
    )


@given(well_formed)
def test_offsets_cut_the_parts_that_the_email_package_finds(message: Message) -> None:
    """Numbers, types, octets and line counts of the parts of well-formed mail."""
    data = octets_of(message)
    expected = sections(message_from_bytes(data))
    parts = {part.section: part for part in read_shape([data]).parts}
    assert cut(data, parts.pop(())) == data
    assert parts.keys() == expected.keys()
    for section, part in parts.items():
        assert f"{part.main_type}/{part.subtype}" == expected[section].get_content_type()
        assert message_from_bytes(cut(data, part)).items() == expected[section].items()
        body = data[part.body_at : part.body_at + part.body_octets]
        assert part.lines == body.count(b"\n")
        if part.message_header_octets is not None:
            assert body[: part.message_header_octets].endswith(b"\r\n\r\n")
            assert b"\r\n\r\n" not in body[: part.message_header_octets - 1]
        elif part.main_type != "multipart":
            assert body == str(expected[section].get_payload()).encode()


@given(st.one_of(broken, mail_like_octets, well_formed.map(octets_of)))
def test_records_come_back(message: bytes) -> None:
    """A record holds the whole shape, whatever the message is; the message's parts lie within it."""
    shape = read_shape([message])
    stored = StoredShape(shape.to_record())
    assert (stored.envelope, stored.body, stored.bodystructure) == (
        shape.envelope,
        shape.body,
        shape.bodystructure,
    )
    assert (stored.preview, stored.parts()) == (shape.preview, shape.parts)
    texts = [text.decode() for text in stored.texts()]
    assert (texts[0], texts[5], texts[10]) == (
        shape.texts.subject,
        shape.texts.base_subject,
        shape.texts.display_to,
    )
    assert texts[11] == shape.texts.threading
    assert not any("\n" in text for text in texts)
    for part in shape.parts:
        assert part.header_at + part.header_octets == part.body_at
        assert part.body_at + part.body_octets <= len(message)


def balanced(answer: bytes) -> bool:
    """Whether an IMAP answer is one parenthesised list, its literals as long as they say."""
    depth = at = 0
    while at < len(answer):
        octet = answer[at : at + 1]
        if octet == b'"':
            at += 1
            while answer[at : at + 1] != b'"':
                assert answer[at] not in b"\r\n\0" and answer[at] < 128
                at += 2 if answer[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            end = answer.index(b"}\r\n", at)
            at = end + 2 + int(answer[at + 1 : end])
        depth += (octet == b"(") - (octet == b")")
        at += 1
        if depth == 0:
            return at == len(answer)
    return False


@given(
    st.sampled_from(
        (b"From", b"Subject", b"Content-Type", b"Content-Disposition", b"Content-Language", b"Date")
    ),
    st.one_of(broken, mail_like_octets),
    st.one_of(broken, mail_like_octets),
)
def test_garbage_makes_answers_that_can_be_read(name: bytes, value: bytes, body: bytes) -> None:
    """Whatever a field has, a client can parse what FETCH sends, and no text has a control character."""
    shape = read_shape([name + b": " + value + b"\r\n\r\n" + body])
    assert balanced(shape.envelope) and balanced(shape.body) and balanced(shape.bodystructure)
    assert len(shape.preview) <= 200
    assert (shape.preview + shape.texts.subject + shape.texts.addresses_from).isprintable() or not (
        shape.preview + shape.texts.subject + shape.texts.addresses_from
    ).isascii()
