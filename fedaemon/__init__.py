"""fedaemon: a complete mail service in one Twisted process."""

__version__ = "0.1.0"
