"""What the server announces, by the state of the session.

Standards: RFC 9051 6.1.1, 7.2.2, RFC 4959 3, RFC 7888 5, RFC 2971 3, RFC 5161 3, RFC 7889 4 (APPENDLIMIT).
Invariants: only what is built is announced; no mechanism without TLS.
"""

from __future__ import annotations

from typing import Final

from fedaemon.imap.session import Session, State

ALWAYS: Final = (b"IMAP4rev2", b"IMAP4rev1", b"LITERAL+", b"ID", b"ENABLE")
LATER: Final = (
    b"IDLE NAMESPACE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE UNSELECT UIDPLUS MOVE "
    b"MULTIAPPEND CATENATE REPLACE BINARY ESEARCH SEARCHRES WITHIN SORT SORT=DISPLAY ESORT "
    b"THREAD=ORDEREDSUBJECT THREAD=REFERENCES CONDSTORE QRESYNC STATUS=SIZE QUOTA QUOTA=RES-STORAGE "
    b"QUOTA=RES-MESSAGE OBJECTID SAVEDATE PREVIEW PARTIAL UTF8=ACCEPT METADATA NOTIFY INPROGRESS UIDONLY "
    b"UNAUTHENTICATE"
).split()
"""What can be done after the log-in only, and so is announced then."""


def capabilities(session: Session) -> bytes:
    """Return the words of CAPABILITY, from its name on. Spec: RFC 9051 7.2.2"""
    words = [b"CAPABILITY", *ALWAYS]
    if session.state is State.NOT_AUTHENTICATED:
        words.append(b"SASL-IR")
        if session.tls_active:
            words += [b"AUTH=" + name.encode("ascii") for name in session.settings.auth_mechanisms]
        else:
            words.append(b"LOGINDISABLED")
            if session.settings.tls_available:
                words.append(b"STARTTLS")
    else:
        words += LATER
        words.append(b"APPENDLIMIT=%d" % session.settings.max_message_octets)
        if not session.compressed:
            words.append(b"COMPRESS=DEFLATE")
    return b" ".join(words)
