"""Mailboxes: what people read."""
