"""A server's life with the package, as its administrator sees it, told in order on one machine."""

from __future__ import annotations

import re

from tests.daemon import wait_until
from tests.debian.building import Built
from tests.debian.roots import PROJECT
from tests.debian.server import CA, HOST, SETTINGS, STORE, Server

LOCAL_MX = 10025
"""Where local mode takes mail, which here plays the internet."""
INTERNET = (
    "systemd-run --quiet --unit=internet --property=DynamicUser=yes --property=StateDirectory=internet "
    "fedaemonctl local /var/lib/internet/local"
)
ROUTE = f"""
[[route]]
domain = "example.test"
host = "127.0.0.1"
port = {LOCAL_MX}
tls = "required"
"""
SHORT_WATCHDOG = """
mkdir -p /run/systemd/system/fedaemon.service.d
printf '[Service]\\nWatchdogSec=2s\\n' >/run/systemd/system/fedaemon.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart fedaemon
"""
WRONG_PASSWORDS = """
import imaplib, poplib, smtplib, ssl, sys
host, ca_file = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca_file)
smtp = smtplib.SMTP_SSL(host, 465, context=tls)
imap = imaplib.IMAP4_SSL(host, 993, ssl_context=tls)
pop3 = poplib.POP3_SSL(host, 995, context=tls)
pop3.user("alice@example.org")
for attempt, refusal in (
    (lambda: smtp.login("alice@example.org", "wrong"), smtplib.SMTPAuthenticationError),
    (lambda: imap.login("alice@example.org", "wrong"), imaplib.IMAP4.error),
    (lambda: pop3.pass_("wrong"), poplib.error_proto),
):
    try:
        attempt()
    except refusal:
        continue
    sys.exit("a wrong password was taken")
"""
FAILED = "login-failed service=imap session=7 address=192.0.2.7 login=bob@example.org code=535"
LINES = (
    (f"2026-11-23T16:21:40.002Z warn {FAILED}", 1),
    (f"2026-11-23T16:21:40+0000 [fedaemon.net.session_log#warn] {FAILED}", 1),
    (f'2026-11-23T16:21:40.002Z info refused service=mx session=8 address=192.0.2.8 reason="{FAILED}"', 0),
)
"""Log files; and a client that tries to have somebody else shut out."""
CONNECTING_WHILE_RESTARTING = """
import smtplib, subprocess, threading
refused = served = 0
def restart():
    for _ in range(3):
        subprocess.run(["systemctl", "restart", "fedaemon"], check=True)
work = threading.Thread(target=restart)
work.start()
while work.is_alive():
    try:
        with smtplib.SMTP("127.0.0.1", 25, timeout=60) as smtp:
            served += smtp.noop()[0] == 250
    except ConnectionRefusedError:
        refused += 1
    except (smtplib.SMTPException, OSError):
        pass  # cut off by the server that stops, as clients are used to
work.join()
print("refused:", refused, "served:", served > 0)
"""


def test_installing_starts_nothing_and_says_what_to_do(server: Server, built: Built) -> None:
    assert 'set it up with "fedaemonctl setup"' in server.install(built)
    assert server.run("systemctl", "is-enabled", "fedaemon").strip() == "enabled"
    assert server.show("ActiveState") == "inactive"


def test_only_root_and_the_service_read_settings_and_store(server: Server) -> None:
    said = server.run("stat", "--format=%U:%G %a", SETTINGS, "/etc/fedaemon/tls", STORE)
    assert said.splitlines() == ["root:fedaemon 640", "root:fedaemon 750", "fedaemon:fedaemon 700"]


def test_the_programs_work_for_any_user(server: Server) -> None:
    for test in ("smoke", "local-mode"):
        server.shell(
            f"mkdir -m 777 -p /var/tmp/{test} && cp -r /root/tests /var/tmp && cd / && "
            f"runuser -u nobody -- env AUTOPKGTEST_TMP=/var/tmp/{test} /var/tmp/tests/{test}"
        )


def test_twisteds_cache_knows_the_plugin(server: Server) -> None:
    """Debian's trigger makes it, as root: nobody else could write it, and Twisted would complain at each start."""
    cache = server.root / "usr/lib/python3/dist-packages/twisted/plugins/dropin.cache"
    assert b"fedaemon_plugin" in cache.read_bytes()


def test_the_units_are_right_and_tight(server: Server) -> None:
    assert server.shell("systemd-analyze verify --man=no fedaemon.service fedaemon@465.socket") == ""
    server.run("systemd-analyze", "security", "--threshold=15", "--no-pager", "fedaemon.service")


def test_settings_that_cannot_be_used_are_explained_once(server: Server) -> None:
    """systemctl start fails, the status has the line that says what to set, and nothing is tried again."""
    server.run("systemctl", "start", "fedaemon", code=1)
    assert re.search(rf"{SETTINGS}:\d+: .*lacks 'hostname'; add hostname = ", server.status(code=3))
    assert (server.show("Result"), server.show("ActiveState")) == ("exit-code", "failed")
    assert server.show("NRestarts") == "0"


def test_from_the_installation_to_a_message_that_was_read(server: Server) -> None:
    """The same commands as autopkgtest's."""
    server.shell("AUTOPKGTEST_TMP=/root/tests /root/tests/service")


def test_the_process_has_no_more_than_it_needs(server: Server) -> None:
    status = dict(line.split(":", 1) for line in server.process("status").splitlines())
    assert set(status["Uid"].split()) == {server.run("id", "-u", "fedaemon").strip()}
    bind_service = 1 << 10
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {bind_service}
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")


def test_the_process_has_descriptors_for_ten_thousand_connections(server: Server) -> None:
    soft = re.search(r"^Max open files +(\d+)", server.process("limits"), re.MULTILINE)
    assert soft is not None
    assert int(soft[1]) > 10_000 + 400 + 1000


def test_systemd_hears_from_the_service(server: Server) -> None:
    assert "submission :: port 465" in server.show("StatusText")
    server.shell(SHORT_WATCHDOG)
    first = server.show("WatchdogTimestampMonotonic")
    wait_until(lambda: server.show("WatchdogTimestampMonotonic") != first, "a sign of life")


def test_a_service_that_hangs_is_started_again(server: Server) -> None:
    server.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "fedaemon")
    wait_until(lambda: server.show("NRestarts") == "1", "the restart", 60)
    wait_until(lambda: server.show("ActiveState") == "active", "the service", 60)
    server.shell("rm -r /run/systemd/system/fedaemon.service.d && systemctl daemon-reload")
    server.run("systemctl", "restart", "fedaemon")


def test_reload_takes_good_settings_and_refuses_bad_ones(server: Server) -> None:
    pid, good = server.show("MainPID"), server.settings.replace('lifetime = "5d"', 'lifetime = "4d"')
    server.settings = good
    server.run("systemctl", "reload", "fedaemon")
    server.settings = good + "nonsense = 1\n"
    server.run("systemctl", "reload", "fedaemon", code=1)
    assert "unknown key 'nonsense'" in server.status()
    server.settings = good
    assert (server.show("MainPID"), server.show("ActiveState")) == (pid, "active")
    server.round_trip()


def test_an_upgrade_keeps_settings_and_mail_and_the_queue(server: Server, newer: Built) -> None:
    """A message waits for a server that is down; after the upgrade it is up, and the message gets there."""
    settings = server.settings = server.settings + ROUTE
    server.run("systemctl", "reload", "fedaemon")
    server.send("bob@example.test")
    wait_until(lambda: server.fate("bob@example.test") == "deferred", "the first attempt")
    pid = server.show("MainPID")

    server.install(newer)

    assert server.settings == settings
    assert server.show("MainPID") != pid
    assert server.show("ActiveState") == "active"
    assert server.fate("bob@example.test") == "deferred"
    server.round_trip()
    server.shell(INTERNET)
    wait_until(lambda: server.listens(LOCAL_MX), "the other server")
    server.run("fedaemonctl", "queue", "retry", "--all")
    wait_until(lambda: server.fate("bob@example.test") == "sent", "the delivery")


def test_a_reinstallation_changes_nothing(server: Server, newer: Built) -> None:
    settings = server.settings
    server.run("apt-get", "-y", "reinstall", f"./{newer.deb.name}")
    assert server.settings == settings
    server.round_trip()


def test_fail2ban_knows_a_failed_login(server: Server) -> None:
    """Each service is asked with a wrong password, SMTP twice: smtplib tries PLAIN and then LOGIN."""
    server.python(WRONG_PASSWORDS, HOST, CA)
    server.run("apt-get", "-y", "--no-install-recommends", "install", "fail2ban", "python3-systemd")
    assert "Failregex: 4 total" in server.run("fail2ban-regex", "systemd-journal", "fedaemon")
    for line, matches in LINES:
        assert f"Failregex: {matches} total" in server.run("fail2ban-regex", line, "fedaemon"), line


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    """As with another mail server on the machine: the start says which port, and what to do."""
    server.shell("systemctl stop fedaemon && systemd-run --quiet --unit=other python3 -m http.server 25")
    wait_until(lambda: server.listens(25), "the other mail server")
    server.run("systemctl", "start", "fedaemon", code=1)
    reason = "cannot listen on :: port 25: another program has that port; stop it"
    wait_until(lambda: reason in server.show("StatusText"), "the reason")
    server.run("systemctl", "stop", "other")
    wait_until(lambda: server.show("ActiveState") == "active", "the service, once the port is free")


def test_with_sockets_no_connection_is_refused_during_a_restart(server: Server) -> None:
    """The steps of README.Debian, its drop-in included: no privilege is left to the service."""
    readme = (PROJECT / "debian" / "README.Debian").read_text()
    steps = re.search(r"^    systemctl stop fedaemon\n(?:    .*\n)+", readme, re.MULTILINE)
    assert steps is not None
    before = server.settings
    server.settings = re.sub(r"(?m)^(port = (25|465|587|993|995))$", r'\1\naddress = "systemd:\2"', before)
    server.shell(steps[0].replace("\n    ", "\n").strip())
    assert "CapEff:\t0000000000000000" in server.process("status")
    server.round_trip()
    assert server.python(CONNECTING_WHILE_RESTARTING) == "refused: 0 served: True\n"
    # The sockets stay until the package is removed, which has to deal with them.
    server.settings = before
    server.shell("rm -r /etc/systemd/system/fedaemon.service.d && systemctl daemon-reload")


def test_removal_keeps_settings_and_mail(server: Server) -> None:
    settings = server.settings
    server.run("apt-get", "-y", "remove", "fedaemon")
    assert server.settings == settings
    assert server.has_store()
    assert not any(server.listens(port) for port in (25, 465, 587, 993, 995))


def test_mail_is_there_when_the_package_comes_back(server: Server, newer: Built) -> None:
    server.install(newer)
    server.run("systemctl", "start", "fedaemon")
    server.round_trip()


def test_purging_keeps_mail_and_says_where_it_is(server: Server) -> None:
    said = server.run("apt-get", "-y", "purge", "fedaemon")
    assert f'mail and accounts are still in {STORE}; "rm -r {STORE}" deletes them' in said
    assert server.has_store()
    assert server.left_over() == [STORE]


def test_purging_deletes_mail_when_told(server: Server, newer: Built) -> None:
    server.install(newer)
    server.shell("FEDAEMON_PURGE_MAIL=yes apt-get -y purge fedaemon")
    assert server.left_over() == []


def test_purging_leaves_nothing_of_a_server_that_was_never_used(server: Server, newer: Built) -> None:
    server.install(newer)
    server.run("apt-get", "-y", "purge", "fedaemon")
    assert server.left_over() == []
