"""The commands of POP3; here stands the table of all."""

from __future__ import annotations

from fedaemon.pop3.verbs import auth, capa, listing, login, marking, quit, retrieval, stls, utf8  # noqa: A004
from fedaemon.pop3.verbs.verb import AFTER_LOGIN, ALWAYS, BEFORE_LOGIN, Verb

VERBS: dict[bytes, Verb] = {
    b"APOP": Verb(login.apop, BEFORE_LOGIN),
    b"AUTH": Verb(auth.auth, BEFORE_LOGIN, argument=True),
    b"CAPA": Verb(capa.capa, ALWAYS, argument=False),
    b"DELE": Verb(marking.dele, AFTER_LOGIN, argument=True),
    b"LIST": Verb(listing.list_, AFTER_LOGIN),
    b"NOOP": Verb(marking.noop, AFTER_LOGIN, argument=False),
    b"PASS": Verb(login.pass_, BEFORE_LOGIN, argument=True),
    b"QUIT": Verb(quit.quit_, ALWAYS, argument=False),
    b"RETR": Verb(retrieval.retr, AFTER_LOGIN, argument=True),
    b"RSET": Verb(marking.rset, AFTER_LOGIN, argument=False),
    b"STAT": Verb(listing.stat, AFTER_LOGIN, argument=False),
    b"STLS": Verb(stls.stls, BEFORE_LOGIN, argument=False),
    b"TOP": Verb(retrieval.top, AFTER_LOGIN, argument=True),
    b"UIDL": Verb(listing.uidl, AFTER_LOGIN),
    b"USER": Verb(login.user, BEFORE_LOGIN, argument=True),
    b"UTF8": Verb(utf8.utf8, BEFORE_LOGIN, argument=False),
}
"""What may stand at the beginning of a command line, in upper case."""
