"""The shape of a message: its parts, and what IMAP says about them, computed once when it is stored."""
