"""How the real process uses connections: again and again, as many as a host bears, and from where it is welcome.

Standards: RFC 5321 4.5.4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import wait_until
from tests.lab import behaviours as does
from tests.lab.world import Lab, arrived

FIRST, SECOND = "127.0.0.2", "127.0.0.3"

TABLES = f"""
[[source]]
address = "{FIRST}"
hostname = "first.example.test"
[[source]]
address = "{SECOND}"
hostname = "second.example.test"
[[site]]
name = "limited"
hosts = ["*.limited.test"]
messages_per_connection = 3
[[site]]
name = "one-by-one"
hosts = ["*.single.test"]
connections = 1
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("connections")
    made = Lab(directory, tables=TABLES)
    try:
        yield made.start()
    finally:
        made.close()


def send_many(lab: Lab, count: int, *domains: str) -> list[str]:
    """Submit messages to domains in turns."""
    return lab.send_all([(f"u{number}@{domains[number % len(domains)]}",) for number in range(count)])


def test_connections_are_reused(lab: Lab) -> None:
    """Forty messages do not need forty connections."""
    host = lab.add_domain("reuse.test")
    send_many(lab, 40, "reuse.test")
    arrived(host, 40)
    assert max(host.carried().values()) >= 2
    assert host.connections < 30


def test_the_limit_of_messages_on_a_connection_is_kept(lab: Lab) -> None:
    """[[site]] says three."""
    host = lab.add_domain("limited.test")
    send_many(lab, 20, "limited.test")
    arrived(host, 20)
    assert max(host.carried().values()) <= 3


def test_421_after_some_messages_is_learned(lab: Lab) -> None:
    """No message waits for it, and it does not happen with every connection."""
    host = lab.add_domain("single.test", does.has_enough_after(3))
    ids = send_many(lab, 30, "single.test")
    arrived(host, 30)
    assert max(host.carried().values()) == 3
    assert host.most_open <= 2, "one at a time, but for the moment between two"
    assert host.turned_away <= 3
    for queue_id in ids:
        assert "deferred" not in str(lab.shown(queue_id)["timeline"])


def test_concurrency_adapts_to_what_a_host_bears(lab: Lab) -> None:
    """It answers 421 above three: fewer come, and all messages arrive."""
    host = lab.add_domain("bears.test", does.bears(3), does.slow(0.05, "content"))
    ids = send_many(lab, 60, "bears.test")

    def all_there() -> bool:
        late = [queue_id for queue_id in ids if lab.states(queue_id) == ["deferred"]]
        if late:
            lab.retry(*late)
        return len(host.messages) >= 60

    wait_until(all_there, "all messages")
    assert len(host.messages) == 60
    assert host.turned_away < 20
    limit = lab.site("bears.test")["limit"]
    assert limit <= 5, f"the site has {limit} connections"


def test_two_domains_with_the_same_host_are_one_site(lab: Lab) -> None:
    """They are listed as one, and share connections."""
    host = lab.add_domain("twin-one.test")
    lab.add_domain("twin-two.test", host=host)
    send_many(lab, 20, "twin-one.test", "twin-two.test")
    arrived(host, 20)
    wait_until(lambda: len(lab.site("twin-one.test")["destinations"]) == 2, "the site to be written")
    assert set(lab.site("twin-two.test")["destinations"]) == {"twin-one.test", "twin-two.test"}
    assert host.connections < 20


def test_a_dead_site_is_probed_and_then_gets_the_rest(lab: Lab) -> None:
    """Many messages cost it few connections while it is away; one that gets through lets all others follow."""
    host = lab.add_domain("away.test", does.says("connect", "421 4.3.2 Service not available"))
    ids = send_many(lab, 40, "away.test")
    lab.until(ids[0], "deferred")
    wait_until(lambda: lab.site("away.test")["state"] == "down", "the site to be down")
    assert host.connections <= 10
    host.behave()
    lab.retry(ids[0])
    arrived(host, 40)
    assert len(host.messages) == 40


def test_another_source_address_goes_on_where_one_is_blocklisted(lab: Lab) -> None:
    """Nobody has to do anything: within seconds the message comes from the other address, under its name."""
    host = lab.add_domain("blocks.test", does.blocklists(FIRST))
    queue_id = lab.send("carol@blocks.test")
    lab.until(queue_id, "delivered")
    assert host.peers == [FIRST, SECOND]
    assert host.names == ["second.example.test"]
    lab.send("dave@blocks.test")
    arrived(host, 2)
    assert host.peers.count(FIRST) == 1, "it rests there now"
    assert lab.site("blocks.test")["closed"].keys() == {FIRST}


def test_where_all_addresses_are_blocklisted_nothing_leaves_from_another(lab: Lab) -> None:
    """Mail waits for the administrator's two addresses; the system's own is not his to use."""
    host = lab.add_domain("blocks-all.test", does.blocklists())
    ids = send_many(lab, 20, "blocks-all.test")
    wait_until(lambda: lab.site("blocks-all.test")["state"] == "blocked", "both to be blocked")
    assert set(host.peers) == {FIRST, SECOND}
    assert all(lab.states(queue_id)[0] in ("deferred", "queued") for queue_id in ids)


def test_the_second_host_takes_over(lab: Lab) -> None:
    """The better mail exchanger does not listen."""
    gone = lab.add_host("mx1.pair.test", listens=False)
    second = lab.add_host("mx2.pair.test")
    lab.dns.records["pair.test", "MX"] = [f"10 {gone.name}.", f"20 {second.name}."]
    queue_id = lab.send("carol@pair.test")
    lab.until(queue_id, "delivered")
    assert len(second.messages) == 1


def test_a_slow_host_holds_up_nobody_else(lab: Lab) -> None:
    """While one takes its time with every command, mail for another passes it."""
    slow = lab.add_domain("slow.test", does.slow(0.5))
    send_many(lab, 30, "slow.test")
    quick = lab.add_domain("quick.test")
    send_many(lab, 10, "quick.test")
    arrived(quick, 10)
    assert len(slow.messages) < 30
