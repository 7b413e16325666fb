"""A real fedaemon behind a validating resolver, among hosts and policies whose TLS is good, bad or hostile.

Three zones: signed.test is signed, forged.test is signed and was changed on the way, plain.test is not signed.
"""

from __future__ import annotations

import hashlib
import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemon import free_port
from tests.lab.authority import Authority
from tests.lab.dns import SignedDns
from tests.lab.mx import MxHost
from tests.lab.policy_host import PolicyHost
from tests.lab.world import Lab
from tests.net.chains import Link

BAD = ("expired", "self-signed", "wrong-name", "none", "broken")
"""What a policy must not accept, by the name of ``Authority``'s method, or of the trouble."""

DANE = ("good", "wrong", "stripped", "spare")
STS = ("good", *BAD, "unlisted", "testing", "optional", "status404", "status301", "badpolicy")
PLAIN = (*BAD, "tlsa")


class Net:
    """The lab, and what its zones were made from."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "authority")
        self._net = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}"
        self.addresses: dict[str, str] = {}
        self.links: dict[str, Link] = {}
        mx_port = free_port("127.0.0.2")
        zones = {"signed.test": "", "plain.test": "", "forged.test": ""}
        for name in DANE:
            zones["signed.test"] += self._mx(name, "signed.test") + self._tlsa(name, "signed.test", mx_port)
        zones["signed.test"] += self._mx("require", "signed.test") + self._mx("lacking", "signed.test")
        for name in STS:
            zones["plain.test"] += self._mx(f"sts-{name}", "plain.test") + self._announced(f"sts-{name}")
        for name in PLAIN:
            zones["plain.test"] += self._mx(name, "plain.test")
        zones["plain.test"] += self._tlsa("tlsa", "plain.test", mx_port, wrong=True)
        zones["forged.test"] += self._mx("mail", "forged.test") + self._tlsa("mail", "forged.test", mx_port)
        good = f"{self._net}.251"
        names = [f"mta-sts.sts-{name}.plain.test" for name in STS if name != "badpolicy"]
        self.policy_host = PolicyHost(good, 0, self._context(*names))
        self.bad_policy_host = PolicyHost(
            f"{self._net}.252",
            self.policy_host.port,
            self.authority.self_signed("mta-sts.sts-badpolicy.plain.test"),
        )
        true = self.addresses["mx.mail.forged.test"]
        self.dns = SignedDns(
            zones, unsigned=("plain.test",), forged={"forged.test": (true, f"{self._net}.250")}
        )
        self.dns.start()
        self.lab = Lab(
            directory,
            nameserver="{}:{}".format(*self.dns.address),
            mx_port=mx_port,
            authority=self.authority,
            delivery=f"mta_sts_port = {self.policy_host.port}",
        )

    def _context(self, *names: str) -> ssl.SSLContext:
        return self.authority.good_for(*names)

    def _mx(self, name: str, zone: str) -> str:
        host = f"mx.{name}.{zone}"
        self.addresses[host] = f"{self._net}.{len(self.addresses) + 1}"
        return f"{name} IN MX 10 mx.{name}\nmx.{name} IN A {self.addresses[host]}\n"

    def _tlsa(self, name: str, zone: str, port: int, *, wrong: bool = False) -> str:
        host = f"mx.{name}.{zone}"
        self.links[host] = link = self.authority.link(host)
        digest = hashlib.sha256(b"" if wrong else link.spki).hexdigest()
        return f"_{port}._tcp.mx.{name} IN TLSA 3 1 1 {digest}\n"

    def _announced(self, name: str) -> str:
        where = 252 if name == "sts-badpolicy" else 251
        return f'_mta-sts.{name} IN TXT "v=STSv1; id=1"\nmta-sts.{name} IN A {self._net}.{where}\n'

    def host(self, name: str, zone: str, tls: ssl.SSLContext | str | None, **more: Any) -> MxHost:
        """Let the mail exchanger of a domain listen."""
        full = f"mx.{name}.{zone}"
        return self.lab.add_host(full, tls=tls, address=self.addresses[full], **more)

    def bad_tls(self, kind: str, host: str) -> ssl.SSLContext | str | None:
        """Return TLS that is bad in a way of ``BAD``."""
        if kind in ("none", "broken"):
            return None if kind == "none" else "broken"
        make: Callable[[str], ssl.SSLContext] = getattr(self.authority, kind.replace("-", "_"))
        return make(host)

    def dane_context(self, name: str, zone: str = "signed.test") -> ssl.SSLContext:
        """Return TLS with the certificate that the TLSA record of a host is about."""
        return self.authority.context(self.links[f"mx.{name}.{zone}"])

    def delivery(self, queue_id: str) -> dict[str, Any]:
        """Return the timeline's entry of a delivery."""
        self.lab.until(queue_id, "delivered")
        (entry,) = [each for each in self.lab.shown(queue_id)["timeline"] if each["event"] == "delivered"]
        return dict(entry)

    def deferral(self, queue_id: str) -> dict[str, Any]:
        """Return the timeline's last entry of a failure."""
        self.lab.until(queue_id, "deferred")
        return dict(
            [each for each in self.lab.shown(queue_id)["timeline"] if each["event"] == "deferred"][-1]
        )

    def close(self) -> None:
        self.lab.close()
        self.dns.stop()
        self.policy_host.close()
        self.bad_policy_host.close()
