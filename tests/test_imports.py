"""The import directions of docs/architecture.md, read from the code itself.

Each package may import what stands below it, never the other way and never sideways.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "fedaemon"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("app", "options", "ctl", "web", "delivery_setup", "services_setup", "tls_setup"),
    ("smtp", "imap", "pop3"),
    ("submission",),
    ("delivery",),
    ("filters", "mailauth"),
    ("mailbox", "accounts"),
    ("store", "net"),
    ("message",),
    ("errors", "counters", "logs"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MAY_IMPORT_TOP = {
    ("ctl", "app"),
    ("ctl", "config"),
    ("ctl", "settings_file"),
    ("ctl", "delivery_setup"),
    ("ctl", "tls_setup"),
    ("app", "tls_setup"),
    ("tls_setup", "config"),
    ("app", "delivery_setup"),
    ("app", "services_setup"),
    ("services_setup", "web"),
    ("app", "web"),
    ("ctl", "web"),
    ("app", "logs"),
    ("services_setup", "config"),
    ("services_setup", "delivery_setup"),
    ("delivery_setup", "config"),
    ("app", "config"),
    ("options", "config"),
    ("options", "app"),
}

CONFIG = ("config", "settings_file", "setting_kinds")
"""The settings stand beside the layers: they use formats, and only app, options and ctl use them."""

OWNERS = {
    "lmdb": {"store"},
    "dns": {"net"},
    "OpenSSL": {"net"},
    "service_identity": {"net"},
    "dkim": {"mailauth"},
}
"""Third parties and the packages that alone may import them."""

WITHOUT_TWISTED = (
    "message",
    "smtp/engine.py",
    "smtp/session.py",
    "smtp/lines.py",
    "smtp/content.py",
    "smtp/reception.py",
    "smtp/foreign.py",
    "smtp/verbs",
    "smtp/reply.py",
    "smtp/events.py",
    "smtp/client_engine.py",
    "smtp/client_transaction.py",
    "smtp/client_pipeline.py",
    "smtp/client_reply.py",
    "smtp/client_capabilities.py",
    "smtp/client_content.py",
    "smtp/client_envelope.py",
    "pop3/engine.py",
    "pop3/session.py",
    "pop3/lines.py",
    "pop3/maildrop.py",
    "pop3/transmission.py",
    "pop3/reply.py",
    "pop3/events.py",
    "pop3/verbs",
    "imap/access.py",
    "imap/addressing.py",
    "imap/appending",
    "imap/capabilities.py",
    "imap/commands",
    "imap/compression.py",
    "imap/engine.py",
    "imap/events.py",
    "imap/fetch",
    "imap/flags.py",
    "imap/grammar.py",
    "imap/head.py",
    "imap/limits.py",
    "imap/list_pattern.py",
    "imap/listing.py",
    "imap/mutf7.py",
    "imap/names.py",
    "imap/notification.py",
    "imap/object_ids.py",
    "imap/operations.py",
    "imap/parse",
    "imap/reader.py",
    "imap/reader_state.py",
    "imap/reply.py",
    "imap/resync.py",
    "imap/running.py",
    "imap/search",
    "imap/sequence_set.py",
    "imap/session.py",
    "imap/skip.py",
    "imap/sorting.py",
    "imap/spontaneous.py",
    "imap/table.py",
    "imap/threading.py",
    "imap/updates.py",
    "imap/writer.py",
)
REACTOR_IN = {"app.py", "options.py", "ctl/local.py"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_arrows(path: Path) -> Iterator[str]:
    source = package_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "fedaemon" and len(parts) > 1:
            target = parts[1]
            if target in (source, "__version__"):
                continue
            if (source, target) in MAY_IMPORT_TOP:
                continue
            if source in CONFIG or target in CONFIG:
                allowed = source in CONFIG and target in (*CONFIG, "errors", "message")
            else:
                allowed = target in RANK and RANK[source] < RANK[target]
            if not allowed:
                yield f"{source} imports {name}"
        elif parts[0] in OWNERS and source not in OWNERS[parts[0]]:
            yield f"{source} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_points_down(path: Path) -> None:
    """No module imports from a layer above or beside its own, nor a third party that another package owns."""
    if package_of(path) == "__init__":
        return
    assert list(wrong_arrows(path)) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_engines_know_no_twisted(path: Path) -> None:
    """Formats and engines have no I/O: none of them imports twisted."""
    name = str(path.relative_to(ROOT))
    if name.startswith(WITHOUT_TWISTED):
        assert [found for found in imports(path) if found.split(".")[0] == "twisted"] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_global_reactor_is_imported_only_at_the_top(path: Path) -> None:
    """Everything but app, options and local mode is given its reactor."""
    if str(path.relative_to(ROOT)) not in REACTOR_IN:
        assert "twisted.internet.reactor" not in set(imports(path))


def test_a_wrong_arrow_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader finds an import that points up, one that points sideways, and a stolen third party."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    example = tmp_path / "store" / "example.py"
    example.parent.mkdir()
    example.write_text(
        "import dns.resolver\nimport fedaemon.smtp.engine\nfrom fedaemon.net import tls\nimport lmdb\n"
    )
    assert {arrow.split(" imports ")[1] for arrow in wrong_arrows(example)} == {
        "dns.resolver",
        "fedaemon.smtp.engine",
        "fedaemon.net",
        "fedaemon.net.tls",
    }
