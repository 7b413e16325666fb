"""``fedaemonctl doctor``: ``command.py`` is the command, ``examination.py`` runs the checks in the other files."""

from fedaemon.ctl.doctor.command import register as register
