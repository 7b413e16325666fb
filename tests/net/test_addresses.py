"""Client addresses: one form for each client, and membership in trusted networks."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from fedaemon.net.addresses import in_networks, plain_address


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_a_client_has_one_form_on_every_socket(given: str, plain: str) -> None:
    """An IPv4 client on a dual-stack socket is the same client."""
    assert plain_address(given) == plain


def test_membership_in_networks() -> None:
    """A network holds its own family's addresses only, and what is no address is in none."""
    networks = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
    assert in_networks("192.0.2.200", networks)
    assert in_networks("2001:db8:1::1", networks)
    assert not in_networks("198.51.100.1", networks)
    assert not in_networks("::1", networks)
    assert not in_networks("", networks)
