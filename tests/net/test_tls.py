"""TLS: who is shown which certificate, what is refused, what a reload changes (OpenSSL on memory alone)."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from fedaemon.net import tls
from fedaemon.net.selfsigned import LocalCa, make_local_ca
from fedaemon.net.tls import BadCertificate, ClientTls, ServerTls, channel_bindings, describe
from tests.net.handshakes import pass_on, shake_hands


@pytest.fixture
def server(local_ca: LocalCa, other_ca: LocalCa) -> ServerTls:
    return ServerTls(
        local_ca.certificate, local_ca.private_key, [(other_ca.certificate, other_ca.private_key)]
    )


def connect(
    server: ServerTls, client: ClientTls, host: str, *, verify: bool = True
) -> tuple[SSL.Connection, SSL.Connection]:
    """Return both ends of a connection to *host*."""
    far = server.serverConnectionForTLS(None)
    near = client.creator(host, verify=verify).clientConnectionForTLS(None)
    shake_hands(far, near)
    return far, near


def shown(near: SSL.Connection) -> list[str]:
    """Return the DNS names of the certificate the client was shown."""
    certificate = near.get_peer_certificate()
    assert certificate is not None
    return [
        name.value
        for extension in certificate.to_cryptography().extensions
        if extension.oid.dotted_string == "2.5.29.17"
        for name in extension.value
        if isinstance(name.value, str)
    ]


def test_a_good_certificate_is_accepted_by_name_and_by_address(server: ServerTls, local_ca: LocalCa) -> None:
    """Chain and name are right: the connection stands, in TLS 1.3, and carries octets."""
    client = ClientTls(local_ca.ca_file)
    for host in ("localhost", "mail.example.test", "127.0.0.1", "::1", "localhost."):
        far, near = connect(server, client, host)
        assert describe(far) == describe(near)
        assert describe(near).startswith("TLSv1.3 TLS_")
        near.send(b"EHLO client")
        pass_on(near, far)
        assert far.recv(100) == b"EHLO client"


@pytest.mark.parametrize("host", ["mail.example.org", "192.0.2.1", "sub.localhost"])
def test_a_certificate_for_another_name_ends_the_handshake(
    server: ServerTls, local_ca: LocalCa, host: str
) -> None:
    """verify: a trusted certificate for somebody else is refused before anything is sent."""
    creator = ClientTls(local_ca.ca_file).creator(host, verify=True)
    near = creator.clientConnectionForTLS(None)
    with pytest.raises(SSL.Error) as caught:
        shake_hands(server.serverConnectionForTLS(None), near)
    assert tls.failure_text(caught.value, creator) == f"the certificate is not for {host}"


def test_an_unknown_authority_ends_the_handshake(server: ServerTls, other_ca: LocalCa) -> None:
    """verify: the right name signed by the wrong authority is refused."""
    creator = ClientTls(other_ca.ca_file).creator("localhost", verify=True)
    with pytest.raises(SSL.Error) as caught:
        shake_hands(server.serverConnectionForTLS(None), creator.clientConnectionForTLS(None))
    assert "authority" in tls.failure_text(caught.value, creator)


def test_the_system_does_not_trust_a_local_authority(server: ServerTls) -> None:
    """verify without a CA file uses the system's authorities, to which ours does not belong."""
    creator = ClientTls().creator("localhost", verify=True)
    with pytest.raises(SSL.Error):
        shake_hands(server.serverConnectionForTLS(None), creator.clientConnectionForTLS(None))
    assert creator.problem


def test_opportunistic_tls_takes_any_certificate(server: ServerTls) -> None:
    """Without verification a wrong name and an unknown authority are still better than plaintext."""
    _, near = connect(server, ClientTls(), "mail.example.org", verify=False)
    assert near.get_cipher_name()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("localhost", ["localhost", "mail.example.test"]),
        ("other.test", ["other.test", "*.wild.test"]),
        ("OTHER.test", ["other.test", "*.wild.test"]),
        ("a.wild.test", ["other.test", "*.wild.test"]),
        ("a.b.wild.test", ["localhost", "mail.example.test"]),
        ("unknown.test", ["localhost", "mail.example.test"]),
        ("127.0.0.1", ["localhost", "mail.example.test"]),
    ],
)
def test_the_certificate_follows_the_name_asked_for(server: ServerTls, asked: str, names: list[str]) -> None:
    """SNI: exact name, then wildcard of one label, then the first certificate."""
    _, near = connect(server, ClientTls(), asked, verify=False)
    assert shown(near) == names
    assert server.names == {"localhost", "mail.example.test", "other.test", "*.wild.test"}


def old_client(**versions: int) -> SSL.Connection:
    """A client that would take anything that was ever called TLS, down to security level 0."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(versions.get("lowest", SSL.TLS1_VERSION))
    context.set_max_proto_version(versions["highest"])
    return SSL.Connection(context, None)


@pytest.mark.parametrize("version", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
def test_tls_below_1_2_is_refused(server: ServerTls, version: int) -> None:
    """RFC 8996: 22.4's own default would still take TLS 1.0."""
    with pytest.raises(SSL.Error):
        shake_hands(server.serverConnectionForTLS(None), old_client(highest=version))


def test_tls_1_2_has_forward_secrecy_and_no_renegotiation(server: ServerTls) -> None:
    """TLS 1.2 is served with an ECDHE AEAD cipher; asking for a new handshake ends the connection."""
    far, near = server.serverConnectionForTLS(None), old_client(highest=SSL.TLS1_2_VERSION)
    shake_hands(far, near)
    assert describe(far).startswith("TLSv1.2 ECDHE-ECDSA-")
    assert "GCM" in describe(far) or "CHACHA20" in describe(far)
    near.renegotiate()
    with pytest.raises(SSL.Error):
        for _ in range(4):
            for own, peer in ((near, far), (far, near)):
                try:
                    own.do_handshake()
                    own.recv(1)
                except SSL.WantReadError:
                    pass
                pass_on(own, peer)


def test_sessions_resume_by_ticket(server: ServerTls, local_ca: LocalCa) -> None:
    """A TLS 1.2 client that comes back with its ticket is spared the certificate and key exchange."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    first = SSL.Connection(context, None)
    shake_hands(server.serverConnectionForTLS(None), first)
    session = first.get_session()
    assert session is not None
    second, far = SSL.Connection(context, None), server.serverConnectionForTLS(None)
    second.set_session(session)
    shake_hands(far, second)
    assert second.master_key() == first.master_key()


def test_channel_bindings_are_what_the_client_computes(server: ServerTls, local_ca: LocalCa) -> None:
    """RFC 9266 and RFC 5929: both ends come to the same octets, so SCRAM-PLUS can compare them."""
    far, near = connect(server, ClientTls(local_ca.ca_file), "localhost")
    pem = local_ca.certificate.read_text()
    assert channel_bindings(far) == {
        "tls-exporter": near.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""),
        "tls-server-end-point": hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest(),
    }


def test_the_end_point_binding_is_of_the_certificate_shown(server: ServerTls, other_ca: LocalCa) -> None:
    """With several certificates the binding is that of the one chosen by SNI."""
    far, _ = connect(server, ClientTls(), "other.test", verify=False)
    der = ssl.PEM_cert_to_DER_cert(other_ca.certificate.read_text())
    assert channel_bindings(far)["tls-server-end-point"] == hashlib.sha256(der).digest()


def test_tls_1_2_has_no_exporter_binding(server: ServerTls) -> None:
    """RFC 9266 4.2: without knowing of the extended master secret, tls-exporter is not offered on TLS 1.2."""
    far = server.serverConnectionForTLS(None)
    shake_hands(far, old_client(highest=SSL.TLS1_2_VERSION))
    assert set(channel_bindings(far)) == {"tls-server-end-point"}


def test_reload_shows_the_new_certificate_and_keeps_old_connections(tmp_path: Path) -> None:
    """HUP after a renewal: new connections get the new certificate, existing ones go on."""
    files = make_local_ca(tmp_path, ["old.test"])
    server = ServerTls(files.certificate, files.private_key)
    far, near = connect(server, ClientTls(), "old.test", verify=False)
    make_local_ca(tmp_path, ["new.test"])
    assert shown(connect(server, ClientTls(), "new.test", verify=False)[1]) == ["old.test"]
    server.reload()
    assert server.names == {"new.test"}
    assert shown(connect(server.factory, ClientTls(), "new.test", verify=False)[1]) == ["new.test"]
    near.send(b"still here")
    pass_on(near, far)
    assert far.recv(100) == b"still here"


def test_a_bad_file_at_reload_changes_nothing(tmp_path: Path, other_ca: LocalCa) -> None:
    """Half a renewal (new certificate, old key) is reported, and the old pair stays."""
    files = make_local_ca(tmp_path, ["old.test"])
    server = ServerTls(files.certificate, files.private_key)
    shutil.copy(other_ca.certificate, files.certificate)
    with pytest.raises(BadCertificate, match=r"server\.key: does not belong to .*server\.pem"):
        server.reload()
    assert shown(connect(server, ClientTls(), "old.test", verify=False)[1]) == ["old.test"]


def test_reload_can_take_other_files(local_ca: LocalCa, other_ca: LocalCa) -> None:
    """Settings read again may name other files and other sites."""
    server = ServerTls(local_ca.certificate, local_ca.private_key)
    server.reload(other_ca.certificate, other_ca.private_key, [(local_ca.certificate, local_ca.private_key)])
    assert shown(connect(server, ClientTls(), "x.test", verify=False)[1]) == ["other.test", "*.wild.test"]
    assert "localhost" in shown(connect(server, ClientTls(), "localhost", verify=False)[1])


@pytest.mark.parametrize("broken", ["certificate", "private_key"])
@pytest.mark.parametrize("how", ["missing", "garbage"])
def test_unusable_files_are_named_with_the_fix(
    tmp_path: Path, local_ca: LocalCa, broken: str, how: str
) -> None:
    """The operator reads which file it is and what to do; no bare OpenSSL error."""
    bad = tmp_path / "bad.pem"
    if how == "garbage":
        bad.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    files: dict[str, Any] = {"certificate": local_ca.certificate, "private_key": local_ca.private_key}
    with pytest.raises(BadCertificate, match=rf"{bad}: .*(PEM|No such file)"):
        ServerTls(**{**files, broken: bad})
    with pytest.raises(BadCertificate, match=rf"{bad}: .*(PEM|No such file)"):
        ClientTls(bad)


def test_a_key_with_passphrase_is_an_error_and_not_a_question(tmp_path: Path, local_ca: LocalCa) -> None:
    """OpenSSL must not stop the process to ask for a passphrase on the terminal."""
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "pkey", "-in", str(local_ca.private_key), "-aes256", "-passout", "pass:secret"]
    subprocess.run([*command, "-out", str(encrypted)], check=True, capture_output=True)
    with pytest.raises(BadCertificate, match="has a passphrase"):
        ServerTls(local_ca.certificate, encrypted)
