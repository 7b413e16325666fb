"""Quota in the directory's text."""

from __future__ import annotations

import pytest

from fedaemon.accounts import declared_text, directory
from fedaemon.accounts.declared import apply
from fedaemon.accounts.records import Account, Domain
from fedaemon.errors import BadSyntax
from tests.accounts.world import ALICE, CHEAP
from tests.fakes import MemoryEngine

GB = 2**30
DOMAIN = '[[domain]]\nname = "example.org"\n'
PERSON = f'[[account]]\naddress = "{ALICE}"\n'


def made(engine: MemoryEngine, text: str) -> list[str]:
    """Apply *text*; return what changed."""
    declared = declared_text.read(text)
    changes = engine.transact(lambda transaction: apply(transaction, declared, prune=False, cost=CHEAP))
    return [str(change) for change in changes]


def found(engine: MemoryEngine) -> tuple[Domain, Account]:
    """Return the domain and the account as they are."""
    return (
        engine.view(lambda snapshot: directory.need_domain(snapshot, "example.org")),
        engine.view(lambda snapshot: directory.need_account(snapshot, ALICE)),
    )


def test_limits_are_read_told_and_written_again() -> None:
    """A size, a number, none and nothing; what is written out makes the same directory."""
    engine = MemoryEngine()
    made(engine, DOMAIN + PERSON)
    limited = f'{DOMAIN}quota = "20GiB"\n{PERSON}quota = "1536M"\nquota_messages = 1000\n'
    assert made(engine, limited) == [
        "~ domain example.org\n    quota: default -> 20GB",
        f"~ account {ALICE}\n    quota: default -> 1536MB\n    quota_messages: default -> 1000",
    ]
    domain, account = found(engine)
    assert (domain.quota_octets, domain.quota_messages) == (20 * GB, None)
    assert (account.quota_octets, account.quota_messages) == (1536 * 2**20, 1000)
    written = engine.view(declared_text.write)
    assert 'quota = "20GB"\n' in written and 'quota = "1536MB"\nquota_messages = 1000\n' in written
    assert made(engine, written) == []
    assert f"~ account {ALICE}\n    quota: 1536MB -> none\n    quota_messages: 1000 -> 0" in made(
        engine, f'{PERSON}quota = "none"\nquota_messages = 0\n'
    )
    assert found(engine)[1].quota_octets == found(engine)[1].quota_messages == 0
    written = engine.view(declared_text.write)
    assert 'quota = "none"\nquota_messages = 0\n' in written and made(engine, written) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("quota = 5", 'quota must be a size in quotes, such as "5GB", or "none"'),
        ('quota = "5"', 'number 1, quota: "5" is not from 1MB to 1024TB'),
        ('quota = "much"', '"much" is no size'),
        ("quota_messages = -1", "quota_messages must be a number of messages, 0 for no limit"),
        ("quota_messages = 4294967296", "quota_messages must be a number of messages"),
        ("quota_messages = true", "quota_messages must be a number of messages"),
    ],
)
def test_faults(line: str, said: str) -> None:
    """Each is told with its place, in either kind of table."""
    for table in (DOMAIN, PERSON):
        with pytest.raises(BadSyntax, match=said):
            declared_text.read(f"{table}{line}\n")
