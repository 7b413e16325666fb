"""The commands of SMTP, one file for each; here stands the table of all."""

from __future__ import annotations

from fedaemon.smtp.verbs import (
    auth,
    bdat,
    data,
    ehlo,
    etrn,
    expn,
    helo,
    help,  # noqa: A004  the verb's name
    mail,
    noop,
    quit,  # noqa: A004  the verb's name
    rcpt,
    rset,
    starttls,
    vrfy,
)
from fedaemon.smtp.verbs.verb import Verb

VERBS: dict[bytes, Verb] = {
    b"AUTH": auth.VERB,
    b"BDAT": bdat.VERB,
    b"DATA": data.VERB,
    b"EHLO": ehlo.VERB,
    b"ETRN": etrn.VERB,
    b"EXPN": expn.VERB,
    b"HELO": helo.VERB,
    b"HELP": help.VERB,
    b"MAIL": mail.VERB,
    b"NOOP": noop.VERB,
    b"QUIT": quit.VERB,
    b"RCPT": rcpt.VERB,
    b"RSET": rset.VERB,
    b"STARTTLS": starttls.VERB,
    b"VRFY": vrfy.VERB,
}
"""What may stand at the beginning of a command line, in upper case."""
