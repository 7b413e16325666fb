"""BODY and BODYSTRUCTURE of a message, as FETCH sends them.

Standards: RFC 9051 7.5.2 (BODY, BODYSTRUCTURE), 9 (body).
Invariants: only quoted strings, literals, NIL, numbers and parentheses. A text without a charset gets us-ascii, as
Dovecot answers; a multipart has at least one part.
"""

from __future__ import annotations

from fedaemon.message.mime.entity import Entity
from fedaemon.message.mime.envelope import write_envelope
from fedaemon.message.mime.fields import Fields, first
from fedaemon.message.mime.imap_string import nstring, string
from fedaemon.message.mime.parameters import Parameters, parameter, read_disposition, read_languages


def write_structure(entity: Entity) -> tuple[bytes, bytes]:
    """Return BODY and BODYSTRUCTURE, the form without and that with extension data.

    Spec: RFC 9051 7.5.2
    """
    if entity.kind == "multipart":
        return _write_multipart(entity)
    main, sub, parameters = entity.content_type
    if entity.is_text and parameter(parameters, b"charset") is None:
        parameters = (*parameters, (b"charset", b"us-ascii"))
    fields = entity.fields
    basic = b"%b %b %b %b %b %b %d" % (
        string(main),
        string(sub),
        _write_parameters(parameters),
        nstring(first(fields, b"content-id")),
        nstring(first(fields, b"content-description")),
        string(entity.encoding),
        entity.body_octets,
    )
    extension = nstring(first(fields, b"content-md5")) + _write_extension(fields)
    if entity.kind == "message":
        content = entity.children[0]
        body, extended = write_structure(content)
        basic = b"%b %b" % (basic, write_envelope(content.fields))
        return (
            b"(%b %b %d)" % (basic, body, entity.lines),
            b"(%b %b %d %b)" % (basic, extended, entity.lines, extension),
        )
    if entity.is_text:
        basic = b"%b %d" % (basic, entity.lines)
    return b"(%b)" % basic, b"(%b %b)" % (basic, extension)


def _write_multipart(entity: Entity) -> tuple[bytes, bytes]:
    written = [write_structure(child) for child in entity.children]
    subtype = string(entity.content_type[1])
    return (
        b"(%b %b)" % (b"".join([body for body, _ in written]), subtype),
        b"(%b %b %b%b)"
        % (
            b"".join([extended for _, extended in written]),
            subtype,
            _write_parameters(entity.content_type[2]),
            _write_extension(entity.fields),
        ),
    )


def _write_parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([string(word) for pair in parameters for word in pair])


def _write_extension(fields: Fields) -> bytes:
    """Return disposition, languages and location, each with a space before it."""
    value = first(fields, b"content-disposition")
    disposition = read_disposition(value) if value is not None else None
    languages = read_languages(first(fields, b"content-language") or b"")
    return b" %b %b %b" % (
        b"NIL"
        if disposition is None
        else b"(%b %b)" % (string(disposition[0]), _write_parameters(disposition[1])),
        b"(%b)" % b" ".join([string(language) for language in languages]) if languages else b"NIL",
        nstring(first(fields, b"content-location")),
    )
