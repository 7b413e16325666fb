"""All steps of a setup in one go: asked for on a terminal, or given by options.

Invariants: without a terminal, or with --yes, nothing is asked. Nothing is done when an answer is missing or an
option is wrong: one line says which.
"""

from __future__ import annotations

import argparse
import os
import socket
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from fedaemon.accounts import directory
from fedaemon.ctl.command import DONE, USAGE, Context
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.setup import certificate, daemon, steps
from fedaemon.ctl.setup.asking import Asking, choose_password, is_somebody_there
from fedaemon.ctl.setup.certificate import Pair
from fedaemon.ctl.setup.dns import own_addresses, tell_records
from fedaemon.ctl.setup.steps import Setup
from fedaemon.errors import BadSyntax
from fedaemon.message.domain import parse_domain

KEEP, OWN = "as it is", "self-made"
"""Answers to the question for a certificate."""
LOCALHOST: Final = "localhost"


def run_all(context: Context, arguments: argparse.Namespace) -> int:
    """Do every step."""
    somebody = is_somebody_there(context) and not arguments.yes
    setup, asking = Setup(context), Asking(context, somebody=somebody)
    _check(setup, arguments)
    if not somebody and (missing := _missing(setup, arguments)):
        context.refuse(f"setup needs answers; give {', '.join(missing)}, or run it on a terminal")
        return USAGE
    if somebody:
        context.say(f"This sets up fedaemon with {context.config_path}. Return takes the answer in brackets.")
    _hostname(setup, asking, arguments)
    domain = _domain(setup, asking, arguments)
    _account(setup, asking, arguments, domain)
    _certificate(setup, asking, arguments)
    _http(setup, asking, arguments)
    steps.add_keys(setup, domain)
    tell_records(setup, domain, addresses=_addresses(setup, asking, arguments), zone=arguments.zone)
    setup.finish(next_steps=lambda: _next(setup, domain))
    return DONE


def _missing(setup: Setup, arguments: argparse.Namespace) -> list[str]:
    """Return the options without which there is no answer."""
    hostname = arguments.hostname or setup.file.hostname()
    missing = [] if hostname else ["--hostname mail.example.org"]
    domain = arguments.domain
    if domain is None and setup.file.hostname():
        domain = _present_domain(setup.context)
    if not domain:
        missing.append("--domain example.org")
    has_account = bool(
        setup.file.hostname() and domain and steps.first_account(setup.context, parse_domain(domain))
    )
    if arguments.account is None and not has_account:
        missing.append("--account alice@example.org")
    return missing


def _check(setup: Setup, arguments: argparse.Namespace) -> None:
    """Raise MailError for an option that cannot be used, before anything is done."""
    for option, read in (
        ("hostname", steps.read_hostname),
        ("domain", parse_domain),
        ("account", steps.read_address(arguments.domain or "example.org")),
    ):
        given = getattr(arguments, option)
        try:
            if given is not None:
                read(given)
        except BadSyntax as error:
            raise BadSyntax(f"--{option} {given}: {error.text}") from None
    pair, hostname = pair_of(arguments), arguments.hostname or setup.file.hostname()
    if pair is not None and hostname:
        certificate.check(pair, steps.read_hostname(hostname))


def _present_domain(context: Context) -> str:
    return context.view(lambda snapshot: next((each.name for each in directory.domains(snapshot)), ""))


def _hostname(setup: Setup, asking: Asking, arguments: argparse.Namespace) -> None:
    here = socket.gethostname()
    default = setup.file.hostname() or (here if "." in here else "")
    why = "The name that this server has in DNS, and that its certificate is for."
    if arguments.hostname is not None:
        name = steps.read_hostname(arguments.hostname)
    else:
        name = asking.line("Host name, such as mail.example.org", why, default, steps.read_hostname)
    steps.set_hostname(setup, name)


def _domain(setup: Setup, asking: Asking, arguments: argparse.Namespace) -> str:
    if arguments.domain is not None:
        domain = parse_domain(arguments.domain)
    else:
        above = str(setup.result["hostname"]).partition(".")[2]
        default = _present_domain(setup.context) or (above if "." in above else "")
        why = "The domain of the addresses that get their mail here: what stands behind the @."
        domain = asking.line("Domain, such as example.org", why, default, parse_domain)
    steps.add_domain(setup, domain)
    return domain


def _account(setup: Setup, asking: Asking, arguments: argparse.Namespace, domain: str) -> None:
    read = steps.read_account(setup.context, domain)
    if arguments.account is not None:
        address = read(arguments.account)
    else:
        user = os.environ.get("SUDO_USER", "")
        default = steps.first_account(setup.context, domain) or f"{user or 'postmaster'}@{domain}"
        why = "The first account. Its address is the user name, and it gets what is sent to the postmaster."
        address = asking.line("Address", why, default, read)
    steps.add_account(setup, address, partial(choose_password, asking, arguments, address))
    steps.set_postmaster(setup, address)


def _certificate(setup: Setup, asking: Asking, arguments: argparse.Namespace) -> None:
    pair = pair_of(arguments)
    if pair is not None:
        steps.set_certificate(setup, pair)
        return
    if arguments.self_signed:
        steps.set_own_certificate(setup)
        return
    hostname = setup.context.settings.server.hostname
    live = certificate.LETSENCRYPT / "live" / hostname / certificate.CHAIN
    present = setup.context.settings.tls
    with setup.context.as_caller():
        default = KEEP if present else str(live) if os.access(live, os.R_OK) else OWN
    if not asking.somebody:
        default = KEEP
    why = (
        f"The file with the certificate and its chain, such as {live}.\n"
        f'"{OWN}" is enough to begin with, but mail programs warn of it.'
    )
    asking.line("Certificate", why, default, partial(_use_certificate, setup, asking))


def _use_certificate(setup: Setup, asking: Asking, answer: str) -> None:
    if answer == KEEP:
        steps.keep_certificate(setup)
    elif answer == OWN:
        steps.set_own_certificate(setup)
    else:
        path = Path(answer).expanduser()
        default = str(path.with_name(certificate.KEY))
        key = asking.line("Key", "The file with its private key.", default, Path)
        steps.set_certificate(setup, Pair(path, key.expanduser()))


def pair_of(arguments: argparse.Namespace) -> Pair | None:
    """Return the certificate and key that were given by options; raises BadSyntax for a key alone."""
    if arguments.certificate is None:
        if arguments.key is not None:
            raise BadSyntax("--key is for --certificate; give both")
        return None
    return Pair(arguments.certificate, arguments.key or arguments.certificate.with_name(certificate.KEY))


def _http(setup: Setup, asking: Asking, arguments: argparse.Namespace) -> None:
    present = steps.has_http(setup.context)
    wanted = arguments.http
    if wanted is None:
        machine = Machine()
        free = not machine.listening(443) and not machine.listening(80)
        why = (
            "Over HTTP mail programs find their settings by themselves, and other servers the policy that\n"
            "protects mail on its way here (MTA-STS). It takes the ports 80 and 443"
            + (", which are free." if free else "." if present else "; another program has them now.")
        )
        wanted = asking.yes("Serve HTTP", why, default=present or (free and asking.somebody))
    steps.set_http(setup, wanted=wanted)


def _addresses(setup: Setup, asking: Asking, arguments: argparse.Namespace) -> list[str]:
    """Return the public addresses that are given by hand, none when this machine knows its own."""
    given: list[str] = arguments.address
    if given or own_addresses(setup.context.settings) or setup.result["hostname"] == LOCALHOST:
        return given
    why = "This machine has no public address of its own (NAT, or no network). By which do others reach it?"
    return asking.line("Public address, or Return if you do not know yet", why, "", _read_addresses)


def _read_addresses(text: str) -> list[str]:
    try:
        return [str(ip_address(word)) for word in text.replace(",", " ").split()]
    except ValueError:
        raise BadSyntax(f"{text} is no IP address, such as 203.0.113.25") from None


def _next(setup: Setup, domain: str) -> None:
    """Say what comes next."""
    context = setup.context
    address = str(setup.result["account"])
    steps_left = [
        ("start the daemon", daemon.start_command(context)),
        ("see a message go all the way", daemon.ctl_command(context, "probe", address)),
    ]
    if setup.result["certificate"] is None and setup.result["hostname"] != LOCALHOST:
        command = certificate.next_command(context)
        steps_left.append(("once DNS has the records, get a certificate that mail programs trust", command))
    steps_left.append(("see how all of it looks", daemon.ctl_command(context, "doctor", domain)))
    left = [(what, command) for what, command in steps_left if command]
    setup.result["next"] = [command for _, command in left]
    context.say("\nWhat is left to do:")
    for number, (what, command) in enumerate(left, 1):
        context.say(f"{number}. {what}:\n   {command}")
