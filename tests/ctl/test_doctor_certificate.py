"""doctor: certificates, as files and as a client sees them."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedaemon.config import TlsSite
from fedaemon.ctl.doctor import certificate
from fedaemon.ctl.doctor.case import Case
from fedaemon.net.certificate_file import matches, read_chain
from fedaemon.net.selfsigned import make_local_ca
from fedaemon.net.tls import BadCertificate
from tests.ctl.doctor_case import HOST, PLAIN, bad, new_case, the
from tests.net.chains import ENCODING, Link, make, write


@pytest.fixture(scope="module")
def root() -> Link:
    return make("the root")


def case_of(directory: Path, root: Link, *chain: Link) -> Case:
    """A case whose certificate is *chain*, and which trusts *root*."""
    pair = write(directory / "pair", *chain)
    trusted = directory / "root.pem"
    trusted.write_bytes(root.certificate.public_bytes(ENCODING.PEM))
    tls = f'[tls]\ncertificate = "{pair[0]}"\nprivate_key = "{pair[1]}"\n'
    text = f'{PLAIN}{tls}[delivery]\nca_file = "{trusted}"\n'
    return new_case(text, now=read_chain(pair[0])[0].ends - timedelta(days=60))


def test_a_right_certificate(tmp_path: Path, root: Link) -> None:
    """For our name, from a known authority, with its chain, long enough."""
    middle = make("the middle", root)
    case = case_of(tmp_path, root, make(HOST, middle, names=(HOST,), from_days=-80), middle)
    found = list(certificate.check_certificates(case))
    assert bad(found) == []
    assert {"dates", "trust", "name"} <= {each.check for each in found}


@pytest.mark.parametrize(
    ("days", "level"),
    [(60, None), (20, None), (19, "warning"), (7, "warning"), (6, "problem"), (-1, "problem")],
)
def test_how_long_it_is_valid(tmp_path: Path, root: Link, days: int, level: str | None) -> None:
    """Certbot renews a month before the end; a week before it is urgent."""
    path, _ = write(tmp_path, make(HOST, root, names=(HOST,), from_days=-80))
    (leaf,) = read_chain(path)
    finding = certificate.lifetime("file", leaf, leaf.ends - timedelta(days=days))
    assert finding.level == (level or "ok")
    assert ("certbot renew" in finding.todo) is (level is not None)


def test_it_is_not_valid_yet(tmp_path: Path, root: Link) -> None:
    """Perhaps it is the clock that is wrong."""
    path, _ = write(tmp_path, make(HOST, root, names=(HOST,)))
    (leaf,) = read_chain(path)
    finding = certificate.lifetime("file", leaf, leaf.begins - timedelta(hours=1))
    assert finding.level == "problem" and "clock" in finding.todo


def test_its_authority_is_left_out(tmp_path: Path, root: Link) -> None:
    """The classic: cert.pem instead of fullchain.pem."""
    leaf = make(HOST, make("the middle", root), names=(HOST,), from_days=-80)
    finding = the(certificate.check_certificates(case_of(tmp_path, root, leaf)), "problem", "chain")
    assert "the middle" in finding.what and "fullchain.pem" in finding.todo


def test_an_authority_that_nobody_knows(tmp_path: Path, root: Link) -> None:
    """A private authority is right only where it was installed."""
    other = make("some company")
    leaf = make(HOST, other, names=(HOST,), from_days=-80)
    case = case_of(tmp_path, root, leaf, other)
    finding = the(certificate.check_certificates(case), "problem", "trust")
    assert "some company" in finding.what and "update-ca-certificates" in finding.todo


def test_it_is_signed_by_itself(tmp_path: Path, root: Link) -> None:
    """No authority at all."""
    case = case_of(tmp_path, root, make(HOST, names=(HOST,), from_days=-80))
    assert "by itself" in the(certificate.check_certificates(case), "problem", "trust").what


def test_it_is_for_another_name(tmp_path: Path, root: Link) -> None:
    """Whose it is, is said."""
    case = case_of(tmp_path, root, make("www.example.org", root, names=("www.example.org",), from_days=-80))
    finding = the(certificate.check_certificates(case), "problem", "name")
    assert finding.what == f"is not for {HOST}, but for www.example.org"


@pytest.mark.parametrize(
    ("name", "good"),
    [(HOST, True), ("*.example.org", True), ("example.org", False), ("*.mail.example.org", False)],
)
def test_wildcards(name: str, *, good: bool) -> None:
    """A star is one label."""
    assert certificate.covers([name], HOST) is good


def test_a_site_may_have_our_name(tmp_path: Path, root: Link) -> None:
    """Any of the certificates will do, because clients say which name they want."""
    case = case_of(tmp_path, root, make("www.example.org", root, names=("www.example.org",), from_days=-80))
    pair = write(tmp_path / "site", make(HOST, root, names=(HOST,), from_days=-80))
    assert case.settings.tls is not None
    tls = dataclasses.replace(case.settings.tls, sites=(TlsSite(*pair),))
    case = dataclasses.replace(case, settings=dataclasses.replace(case.settings, tls=tls))
    assert bad(certificate.check_certificates(case)) == []


def test_a_key_of_another_certificate(tmp_path: Path, root: Link) -> None:
    """What cannot be used is a problem, and the rest is looked at all the same."""
    case = case_of(tmp_path, root, make(HOST, root, names=(HOST,), from_days=-80))
    assert case.settings.tls is not None
    _, other = write(tmp_path / "other", make("other"))
    case.settings.tls.private_key.write_bytes(other.read_bytes())
    found = bad(certificate.check_certificates(case))
    assert [each.check for each in found] == ["usable", "name"]
    assert "does not belong to" in found[0].what


def test_the_daemons_own_certificate() -> None:
    """Right for trying things, and for nothing else."""
    finding = the(certificate.check_certificates(new_case()), "problem", "self-made")
    assert finding.todo.startswith(f"certbot certonly --standalone -d {HOST} --deploy-hook")
    # Where the daemon has port 80, certbot cannot open it.
    text = f'[server]\nhostname = "{HOST}"\n[http]\nwebroot = "/srv/acme"\n'
    finding = the(certificate.check_certificates(new_case(text)), "problem", "self-made")
    assert finding.todo.startswith(f"certbot certonly --webroot -w /srv/acme -d {HOST} -d mta-sts.")
    the(certificate.check_certificates(new_case('[server]\nhostname = "localhost"\n')), "note", "self-made")


def test_the_certificate_of_local_mode(tmp_path: Path) -> None:
    """No public authority signs for localhost."""
    made = make_local_ca(tmp_path, ("localhost",))
    text = f'[tls]\ncertificate = "{made.certificate}"\nprivate_key = "{made.private_key}"\n'
    case = new_case(f'[server]\nhostname = "localhost"\n{text}', now=datetime.now(UTC))
    the(certificate.check_certificates(case), "note", "self-made")


def test_weak_ones(tmp_path: Path, root: Link) -> None:
    """Clients refuse SHA-1, and RSA keys that are too short."""
    path, _ = write(tmp_path, make(HOST, root, names=(HOST,)))
    (leaf,) = read_chain(path)
    assert list(certificate.strength("file", leaf)) == []
    weak = dataclasses.replace(leaf, digest="sha1", rsa_bits=1024)
    assert [each.check for each in bad(certificate.strength("file", weak))] == ["signature", "key-size"]


def test_certbot_tells_the_daemon(tmp_path: Path) -> None:
    """Without a hook the daemon goes on with the old certificate."""
    live, deploy = tmp_path / "live" / HOST / "fullchain.pem", tmp_path / "renewal-hooks" / "deploy"
    assert list(certificate.renewal(live, tmp_path)) == []
    deploy.mkdir(parents=True)
    (tmp_path / "renewal").mkdir()
    assert "--from-certbot" in the(certificate.renewal(live, tmp_path), "warning", "renewal").todo
    (deploy / "mail").write_text("#!/bin/sh\nsystemctl reload fedaemon\n")
    assert bad(certificate.renewal(live, tmp_path)) == []


def test_certificates_and_tlsa_records(tmp_path: Path, root: Link) -> None:
    """Usage 3 is about the leaf, usage 2 about what is above it."""
    middle = make("the middle", root)
    leaf = make(HOST, middle, names=(HOST,))
    path, _ = write(tmp_path, leaf, middle)
    digest = {link: hashlib.sha256(link.spki).digest() for link in (leaf, middle)}
    assert matches(path, 3, 1, 1, digest[leaf]) and matches(path, 2, 1, 1, digest[middle])
    assert not matches(path, 3, 1, 1, digest[middle]) and not matches(path, 2, 1, 1, digest[leaf])


def test_a_file_without_certificate(tmp_path: Path) -> None:
    """It is named."""
    path = tmp_path / "file.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(BadCertificate, match="not a PEM certificate"):
        read_chain(path)
    with pytest.raises(BadCertificate, match="No such file"):
        read_chain(tmp_path / "none")
