"""Makes `twistd fedaemon` known to Twisted."""

from twisted.application.service import ServiceMaker

fedaemon = ServiceMaker("fedaemon", "fedaemon.options", "A complete mail service in one process.", "fedaemon")
