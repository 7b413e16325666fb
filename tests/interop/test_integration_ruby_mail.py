"""docs/integrations/ruby-mail.md: its program sends its letter, and fails as the page says."""

from __future__ import annotations

from tests.interop.examples import STRANGER, account
from tests.interop.library_suite import Edit, LibrarySuite
from tests.interop.servers import LOGIN

__all__ = ["account"]


class TestRubyMail(LibrarySuite):
    name = "ruby-mail"
    needs = ("ruby", "/usr/lib/ruby/vendor_ruby/mail.rb")
    foreign = Edit("send.rb", LOGIN, STRANGER)
    # Ruby says STARTTLS by itself: the page describes the wrong kind of TLS instead.
    without_tls = Edit("mailer.rb", "enable_starttls: true", "tls: true")
    impatient = Edit("mailer.rb", "read_timeout: 60", "read_timeout: 0.5")
