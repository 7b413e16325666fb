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
MAIL = "mail"  # (mailbox id, uid) -> Mail: blob, prefix, shape
MAILBOX_LOST = "mailboxlost"  # (deleted at s, account, mailbox name, mailbox id) -> Mailbox that was deleted
UIDVALIDITY = "uidvalidity"  # (account) -> the last one given
MAILBOX_STATE = "mailstate"  # (mailbox id) -> State: counters
MAILBOX_WORDS = "mailwords"  # (mailbox id) -> names of keywords, by bit
SUBSCRIPTION = "subscription"  # (account, mailbox name) -> ""; stays when the mailbox goes
MAILBOX_META = "mailmeta"  # (account, mailbox id, "" for the account itself, entry) -> value of an annotation
MAIL_CHUNK = "mailchunk"  # (mailbox id, group, first UID) -> columns of a chunk
MAIL_ROW = "mailrow"  # (mailbox id, UID) -> row of a message that is in no chunk yet
MAIL_GONE = "mailgone"  # (mailbox id, mod-sequence) -> which UIDs one change expunged, when
MAIL_PURGE = "mailpurge"  # (due s, mailbox id, mod-sequence) -> "": contents to be released from then on
USAGE = "usage"  # ("account" | "domain", name) -> octets, messages
IMPORTED = (
    "imported"  # (account, digest of a source[, digest of a message]) -> "": in, while the import goes on
)

# mailauth
DKIM_KEY = "dkim"  # (domain, selector) -> a DKIM key

# delivery
MESSAGE = "message"  # (queue id) -> MessageRecord
RECIPIENT = "recipient"  # (queue id, number) -> RecipientRecord
TIMELINE = "timeline"  # (queue id, time in ms, number) -> what happened
TURN = "turn"  # (class, time in ms, lane) -> "": the lane may have work from then on
DUE = "due"  # (lane, time in ms, destination) -> "": the lane may have work there from then on
LINE = "line"  # (site, lane, since in ms, destination) -> "": due work waits until the site has room
DESTINATION = "destination"  # (destination, lane, next attempt in ms, queue id, number) -> ""
CLAIM = "claim"  # (run, batch) -> the recipients that this run of the daemon has under way
SITE = "site"  # (site) -> SiteRecord: what is known about a site that is not as it should be
PAUSE = "pause"  # ("all" | "site" | "account" | "domain", name) -> since, why
FINISHED = "finished"  # (domain of the account or "", time in ms, queue id) -> "": content to be redacted
REDACTED = "redacted"  # (time finished in ms, queue id) -> "": history to be pruned
DUPLICATE = "duplicate"  # (day, digest) -> queue id, time
SUPPRESSED = (
    "suppressed"  # (account, address or its digest) -> Suppression; ("", until in ms, account, address) -> ""
)
TOLD = "told"  # (day, "address" | "domain" | "all", name) -> reports sent to strangers
WEBHOOK = "webhook"  # (name) -> Webhook
HOOK_DUE = "hookdue"  # (webhook name, time in ms, event id) -> event to be posted
STS_POLICY = "sts"  # (domain) -> the MTA-STS policy as fetched
TLS_RESULT = "tlsrpt"  # (day, policy domain, policy type) -> TLS session counts
