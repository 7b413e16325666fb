"""The reference made from the code: man pages about commands and settings, and completion for bash.

``python -m docs.manual`` writes what is generated, all of it: docs/man/fedaemonctl.1.md,
docs/man/fedaemon.toml.5.md and etc/fedaemonctl.bash-completion. docs/man/fedaemon.8.md is written by hand. The
pages are Markdown that reads well as it is, and that "make man" makes man pages of.
"""
