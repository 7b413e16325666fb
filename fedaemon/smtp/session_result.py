"""How the TLS side of one connection went, for those who count it.

Standards: RFC 8460 4.3 (result types).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionResult:
    """One session with *host* at *address* ("" when it was not even dialled) under *policy*.

    *domain* is that of the recipients for whom the connection was wanted, *policy* the name in
    ``delivery.transport.HostTls``. When the session did not *succeed*, *failure* is the result type of RFC
    8460 4.3 and *text* says what happened.
    """

    domain: str
    host: str
    address: str
    policy: str
    succeeded: bool
    failure: str = ""
    text: str = ""
