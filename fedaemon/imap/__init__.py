"""IMAP: reading commands, parsing their arguments and writing answers, without I/O."""
