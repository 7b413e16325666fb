"""The commands of IMAP, a file for each: ``run`` is a coroutine without I/O."""
