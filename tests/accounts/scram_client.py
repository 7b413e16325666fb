"""The client's side of SCRAM-SHA-256, written from RFC 5802 without the server's code."""

from __future__ import annotations

import base64
import hashlib
import hmac


class ScramClient:
    """One exchange; *flag* is the gs2 flag ("n", "y" or "p=tls-exporter"), *binding* the channel's data."""

    def __init__(
        self,
        login: str,
        password: str,
        *,
        flag: str = "n",
        authzid: str = "",
        binding: bytes = b"",
        nonce: str = "rOprNGfwEbeRWgbNEkqO",
    ) -> None:
        self.password = password
        self.gs2 = f"{flag},{f'a={authzid}' if authzid else ''},".encode()
        self.binding = binding
        self.nonce = nonce.encode()
        name = login.replace("=", "=3D").replace(",", "=2C")
        self.bare = b"n=" + name.encode() + b",r=" + self.nonce
        self.said = b""
        self.salted = b""

    def first(self) -> bytes:
        """Return the client-first-message."""
        return self.gs2 + self.bare

    def final(self, server_first: bytes, nonce: bytes | None = None) -> bytes:
        """Return the client-final-message; its proof is right for any *nonce* given."""
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        assert fields[b"r"].startswith(self.nonce)
        salt, iterations = base64.b64decode(fields[b"s"]), int(fields[b"i"])
        self.salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, iterations)
        client_key = hmac.new(self.salted, b"Client Key", "sha256").digest()
        without_proof = b"c=" + base64.b64encode(self.gs2 + self.binding) + b",r=" + (nonce or fields[b"r"])
        self.said = self.bare + b"," + server_first + b"," + without_proof
        signature = hmac.new(hashlib.sha256(client_key).digest(), self.said, "sha256").digest()
        proof = (int.from_bytes(client_key, "big") ^ int.from_bytes(signature, "big")).to_bytes(32, "big")
        return without_proof + b",p=" + base64.b64encode(proof)

    def accepts(self, server_final: bytes) -> bool:
        """True when the server proved that it knows the password, too."""
        server_key = hmac.new(self.salted, b"Server Key", "sha256").digest()
        signature = hmac.new(server_key, self.said, "sha256").digest()
        return server_final == b"v=" + base64.b64encode(signature)
