"""docs/integrations/phpmailer.md: its program sends its letter, and fails as the page says."""

from __future__ import annotations

from tests.interop.examples import STRANGER, account
from tests.interop.library_suite import Edit, LibrarySuite
from tests.interop.servers import LOGIN

__all__ = ["account"]


class TestPHPMailer(LibrarySuite):
    name = "phpmailer"
    needs = ("php", "/usr/share/php/libphp-phpmailer")
    foreign = Edit("send.php", LOGIN, STRANGER)
    without_tls = Edit("mailer.php", "PHPMailer::ENCRYPTION_STARTTLS", "''; $mail->SMTPAutoTLS = false")
    impatient = Edit("mailer.php", "Timelimit = 60", "Timelimit = 1")
