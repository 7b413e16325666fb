"""``fedaemonctl setup``: from a fresh installation to a server that can be started, with its DNS records.

All steps in one go, or each alone. Answers come from options, or from whoever sits at the terminal; what is there
already is the answer to begin with, and only what is answered differently is changed. So it can be run again.

JSON is ``{"config", "changes": [text]}``, and for the steps that were done ``hostname``, ``domain``, ``account``,
``password`` (of a new account, unless it was given), ``postmaster``, ``certificate`` (``{"names", "issuer",
"ends"}``, or null for one that the daemon makes), ``http`` (true or false), ``dkim``: [``{"selector", "state"}``],
``records``: [``{"name", "type", "value" (null: the server's public address), "why", "needed", "zone"}``], ``zone``
(the file), ``daemon`` (how a running one heard of it) and ``next``: [command].
"""

from __future__ import annotations

import argparse
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.password import add_stdin
from fedaemon.ctl.setup import certificate, steps
from fedaemon.ctl.setup.asking import Asking, choose_password, is_somebody_there
from fedaemon.ctl.setup.daemon import ctl_command
from fedaemon.ctl.setup.dns import tell_records
from fedaemon.ctl.setup.flow import pair_of, run_all
from fedaemon.ctl.setup.steps import Setup
from fedaemon.message.address import parse_address
from fedaemon.message.domain import parse_domain

EXAMPLES: Final = """\
On a terminal it asks; with --yes, or without a terminal, everything is given by options. Run it as root for the
machine's own service. What is there already stays, unless the answer is another one.

examples:
  fedaemonctl setup
  fedaemonctl setup --hostname mail.example.org --domain example.org --account alice@example.org --yes
  fedaemonctl setup certificate --certificate /path/fullchain.pem --key /path/privkey.pem
  fedaemonctl setup certificate --from-certbot
  fedaemonctl setup dns example.org --zone example.org.zone

Exit codes: 0 done, 1 refused, 2 usage, settings, or an answer is missing."""


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the command with its steps."""
    parser = groups.add_parser(
        "setup",
        parents=[common],
        help="set up a server: name, certificate, domain, account, DKIM keys; and its DNS records",
        description="Set up a server, all of it or one step.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_all)
    parser.add_argument("--hostname", metavar="NAME", help="such as mail.example.org")
    parser.add_argument("--domain", metavar="DOMAIN", help="such as example.org")
    parser.add_argument(
        "--account", metavar="ADDRESS", help="the first account; it gets mail for postmaster, too"
    )
    add_stdin(parser)
    _add_certificate(parser)
    parser.add_argument(
        "--http",
        action=argparse.BooleanOptionalAction,
        help="listen on 80 and 443 for mail programs that look for their settings, and for MTA-STS",
    )
    _add_dns(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    _register_steps(parser.add_subparsers(title="steps", metavar="[STEP]"), common)


def _register_steps(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the steps."""

    def add(name: str, run: Any, text: str, argument: str = "", means: str = "") -> argparse.ArgumentParser:
        step: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        step.set_defaults(run=run)
        if argument:
            step.add_argument(argument.lower(), metavar=argument, help=means)
        return step

    text = "set the name that this server has in DNS"
    add("hostname", run_hostname, text, "NAME", "such as mail.example.org")
    step = add(
        "certificate", run_certificate, "show clients another certificate; without options, say which it is"
    )
    _add_certificate(step).add_argument(
        "--from-certbot",
        action="store_true",
        help="certbot's certificate for this server, now and after each renewal (also as its deploy hook)",
    )
    step = add("http", run_http, "listen on 80 and 443 for mail programs, MTA-STS, and certbot --webroot")
    step.add_argument(
        "--webroot",
        type=Path,
        metavar="DIR",
        help="where certbot --webroot leaves its answers (default: beside the data directory)",
    )
    step.add_argument("--off", action="store_true", help="do not listen there")
    add("domain", run_domain, "take the mail of a domain", "DOMAIN", "such as example.org")
    add_stdin(add("account", run_account, "add an account", "ADDRESS", "its address, which is its user name"))
    text = "make keys that sign the mail of a domain, unless it has some"
    add("dkim", run_dkim, text, "DOMAIN", "a domain of this server")
    _add_dns(add("dns", run_dns, "print the DNS records of a domain", "DOMAIN", "a domain of this server"))


def _add_certificate(parser: argparse.ArgumentParser) -> Any:
    """Add the options for a certificate; return the group of which only one can be given."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--certificate", type=Path, metavar="FILE", help="PEM file, leaf first and then its chain"
    )
    group.add_argument(
        "--self-signed", action="store_true", help="the one that the daemon makes itself, to begin with"
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="of --certificate (default: privkey.pem beside it)"
    )
    return group


def _add_dns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--zone", type=Path, metavar="FILE", help="write the records there, as a zone file")
    parser.add_argument(
        "--address",
        type=read_address,
        action="append",
        metavar="IP",
        default=[],
        help="a public address of this server, if it is behind NAT; may be repeated",
    )


def read_address(text: str) -> str:
    """Return an IP address of the command line."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no IP address') from None


def run_hostname(context: Context, arguments: argparse.Namespace) -> int:
    """Give the server its name."""
    setup = Setup(context)
    steps.set_hostname(setup, steps.read_hostname(arguments.name))
    steps.keep_certificate(setup)
    setup.finish()
    return DONE


def run_certificate(context: Context, arguments: argparse.Namespace) -> int:
    """Show clients another certificate, or say which they see."""
    setup = Setup(context)
    hostname = context.settings.server.hostname
    pair = pair_of(arguments)
    if arguments.from_certbot:
        pair = certificate.of_certbot(hostname)
        if certificate.is_for_another(pair, hostname):
            context.say(f"{pair.certificate} is not for {hostname}; nothing to do")
            setup.finish()
            return DONE
    if pair is not None:
        steps.set_certificate(setup, pair)
    elif arguments.self_signed:
        steps.set_own_certificate(setup)
    else:
        steps.keep_certificate(setup)
    if arguments.from_certbot and (hook := certificate.add_hook(context)) is not None:
        setup.note(f"certbot brings the next one by itself: {hook}", changed=True)
    setup.finish()
    return DONE


def run_http(context: Context, arguments: argparse.Namespace) -> int:
    """Listen for HTTP, or not."""
    setup = Setup(context)
    steps.set_http(setup, wanted=not arguments.off, webroot=arguments.webroot)
    if not arguments.off:
        context.say(f"With it running, a certificate: {certificate.next_command(context)}")
    setup.finish()
    return DONE


def run_domain(context: Context, arguments: argparse.Namespace) -> int:
    """Take the mail of a domain."""
    setup = Setup(context)
    name = parse_domain(arguments.domain)
    steps.add_domain(setup, name)
    context.say(f"Next: {ctl_command(context, 'setup', 'dkim', name)}")
    setup.finish()
    return DONE


def run_account(context: Context, arguments: argparse.Namespace) -> int:
    """Add an account."""
    setup = Setup(context)
    address = parse_address(arguments.address).key
    asking = Asking(context, somebody=is_somebody_there(context))
    steps.add_account(setup, address, partial(choose_password, asking, arguments, address))
    steps.set_postmaster(setup, address)
    setup.finish()
    return DONE


def run_dkim(context: Context, arguments: argparse.Namespace) -> int:
    """Make keys."""
    setup = Setup(context)
    domain = steps.need_domain(context, arguments.domain)
    steps.add_keys(setup, domain)
    context.say(f"Next: publish their records: {ctl_command(context, 'setup', 'dns', domain)}")
    setup.finish()
    return DONE


def run_dns(context: Context, arguments: argparse.Namespace) -> int:
    """Print the records."""
    setup = Setup(context)
    domain = steps.need_domain(context, arguments.domain)
    tell_records(setup, domain, addresses=arguments.address, zone=arguments.zone)
    setup.finish()
    return DONE
