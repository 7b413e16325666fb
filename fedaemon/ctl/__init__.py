"""fedaemonctl: the administrator's command line."""
