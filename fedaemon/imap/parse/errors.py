"""Arguments that are understood but not supported.

Standards: RFC 9051 7.1 (BADCHARSET), RFC 5465 5 (BADEVENT).
"""

from __future__ import annotations

from fedaemon.errors import BadSyntax


class Unsupported(BadSyntax):
    """What the client asks for in good syntax does not exist here: NO with a response code instead of BAD.

    :param code: the response code without brackets.
    """

    def __init__(self, text: str, code: bytes) -> None:
        super().__init__(text)
        self.response_code = code
