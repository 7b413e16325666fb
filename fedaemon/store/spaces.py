"""The key spaces of the store: the first part of every key, in one place so that no two parts collide.

Each line names the rest of the key, the value, and the package that owns it.
"""

from __future__ import annotations

# store
FORMAT = "format"  # () -> format version
BLOB = "blob"  # (blob id) -> references, size, place
BLOB_BYTES = "bytes"  # (blob id) -> content of an inline blob

# accounts
DOMAIN = "domain"  # (domain) -> Domain
ACCOUNT = "account"  # (address) -> Account
ALIAS = "alias"  # (address) -> Alias
SECRET = "secret"  # noqa: S105 - (name) -> random bytes made once, such as the key of stand-in SCRAM salts
SENT = "sent"  # (day, "account" | "domain", name) -> messages accepted that day

# mailbox
MAILBOX = "mailbox"  # (account, mailbox name) -> Mailbox
MAIL = "mail"  # (mailbox id, uid) -> Mail

# delivery
MESSAGE = "message"  # (queue id) -> MessageRecord
RECIPIENT = "recipient"  # (queue id, number) -> RecipientRecord
TIMELINE = "timeline"  # (queue id, time in ms, number) -> what happened
DUE = "due"  # (time in ms, destination) -> "": the destination may have work from then on
DESTINATION = "destination"  # (destination, next attempt in ms, queue id, number) -> ""
CLAIM = "claim"  # (run, batch) -> the recipients that this run of the daemon has under way
FINISHED = "finished"  # (time in ms, queue id) -> "": content to be redacted
DUPLICATE = "duplicate"  # (day, digest) -> queue id, time
