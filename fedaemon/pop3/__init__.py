"""POP3: programs fetch the mail of an account's INBOX."""
