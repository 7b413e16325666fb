"""Reads from the code every refusal that the server can give, as it goes over the wire.

Replies are made in a few ways: an error of ``fedaemon.errors`` with a text, a ``Reply``, an IMAP status, or the
octets themselves. Each place that makes one is found in the syntax tree. What is put in at run time is written
``{}``. Where a text comes by a parameter, the callers are read, too, so that each has its own entry.

A text is followed through constants, local names and conditional expressions. A text without any letter of its
own only hands on what was made elsewhere, and is no entry.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from itertools import product
from pathlib import Path
from types import ModuleType

from fedaemon.errors import MailError
from fedaemon.imap.parse.errors import Unsupported
from fedaemon.imap.reply import refusal_of
from tests.reply_texts import FORMAT, Environment, Module, defaults_of, locals_of, marked, texts_of

ROOT = Path(__file__).parent.parent / "fedaemon"

_WIRE = re.compile(r"(?:[2-5]\d\d |-ERR )")
_PARAMETER = re.compile("\0([^\0]*)\0")
_LETTERS = re.compile(r"[A-Za-z]{2}")
_HEAD = re.compile(r"^(?:\S+ \d\.\d+\.\d+|\d+|-ERR|NO|BAD|BYE) ?")
_OVER_IMAP = ("delivery/quota.py: check",)
"""Functions elsewhere whose refusals only IMAP gives."""
_CLOSING = ("imap/compression.py",)
"""Where a connection can only be closed: the answer would be part of a broken stream."""
_NUMBER_ONLY = re.compile(r"[23]\d\d ")


@dataclass
class Function:
    """A function that was looked into.

    *templates* are replies whose text comes by its parameters, *local* its names with what is assigned to them.
    """

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef
    local: Environment
    templates: dict[str, str] = field(default_factory=dict)
    called: bool = False

    @property
    def parameters(self) -> list[str]:
        """Names by position, without ``self`` and ``cls``."""
        names = [argument.arg for argument in (*self.node.args.posonlyargs, *self.node.args.args)]
        return names[1:] if names[:1] in (["self"], ["cls"]) else names


class ReplyReader:
    """Reads modules.

    :param names: their paths below ``fedaemon/``.
    :param not_said: functions whose texts no peer hears, as "module.py: function".
    :param folded: functions whose callers are not read: what their parameters bring stays ``{}``.
    """

    def __init__(self, names: list[str], not_said: frozenset[str], folded: frozenset[str]) -> None:
        self._not_said = not_said
        self._folded = folded
        self._modules = [
            Module(name, ast.parse((ROOT / name).read_text()), import_module(dotted))
            for name in names
            if (dotted := f"fedaemon.{name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__"))
        ]
        self._classes = {
            error: (module, node)
            for module in self._modules
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
            and (error := _error_named(module.runtime, node.name)) is not None
        }
        self._inits = {
            call: error
            for error, (_, node) in self._classes.items()
            for call in ast.walk(node)
            if _is_init(call)
        }
        self._functions: dict[tuple[str, str], Function] = {}
        self.replies: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        """Return each reply with the place where it is made, as "module.py:line"."""
        known = -1
        while known != (known := sum(len(each.templates) for each in self._functions.values())):
            self.replies.clear()
            for module in self._modules:
                self._visit(module, module.tree, None)
        for function in self._functions.values():
            if not function.called:
                for template, place in function.templates.items():
                    self._add(_PARAMETER.sub("{}", template), place)
        return self.replies

    def _visit(self, module: Module, node: ast.AST, function: Function | None) -> None:
        for child in ast.iter_child_nodes(node):
            inner = function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                if f"{module.name}: {child.name}" in self._not_said:
                    continue
                inner = self._function(module, child)
            for reply in self._made(module, child, inner):
                self._keep(module, child, inner, reply)
            self._visit(module, child, inner)

    def _function(self, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
        """Return what is known of a function; those of one name in a module are one."""
        function = self._functions.get((module.name, node.name))
        if function is None:
            function = self._functions[module.name, node.name] = Function(module, node, locals_of(node))
        elif function.node is not node:
            function.module, function.node, function.local = module, node, locals_of(node)
        return function

    def _keep(self, module: Module, node: ast.AST, function: Function | None, reply: str) -> None:
        place = f"{module.name}:{getattr(node, 'lineno', 0)}"
        open_names = _PARAMETER.findall(reply)
        if function is None or not open_names or f"{module.name}: {function.node.name}" in self._folded:
            self._add(_PARAMETER.sub("{}", reply), place)
        else:
            function.templates.setdefault(reply, place)

    def _add(self, reply: str, place: str) -> None:
        if _LETTERS.search(_HEAD.sub("", reply)) or _NUMBER_ONLY.match(reply):
            self.replies.setdefault(reply, place)

    # -- the places that make a reply

    def _made(self, module: Module, node: ast.AST, function: Function | None) -> Iterator[str]:
        """Give the replies that *node* makes, with parameters still open."""
        known = function.local if function is not None else {}
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            text = node.value.decode("latin-1")
            if _WIRE.match(text) and text.endswith(("\r\n", "334 ")):
                yield FORMAT.sub("{}", text.removesuffix("\r\n")) + ("{}" if text.endswith(" ") else "")
            return
        if not isinstance(node, ast.Call):
            return
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name == "Reply" and module.package == "smtp":
            yield from self._joined(module, known, node.args)
        elif name == "status" and module.package == "imap":
            yield from self._status(module, known, node)
        elif name in ("Refusal", "Abuse") and module.package == "imap":
            condition = "BAD" if name == "Refusal" else "BYE"
            yield from (f"{condition} {text}" for text in texts_of(module, node.args[-1], known))
        elif (error := self._inits.get(node) or _error_called(module, node.func)) is not None:
            yield from self._error(module, function, node, error)
        else:
            yield from self._called(module, known, node, name)

    def _joined(self, module: Module, known: Environment, parts: list[ast.expr]) -> Iterator[str]:
        for texts in product(*(texts_of(module, part, known) for part in parts)):
            yield " ".join(text for text in texts if text)

    def _status(self, module: Module, known: Environment, node: ast.Call) -> Iterator[str]:
        _, condition, words, *code = node.args
        codes = texts_of(module, code[0], known) if code else [""]
        for kind, bracketed, text in product(
            texts_of(module, condition, known), codes, texts_of(module, words, known)
        ):
            if kind in ("NO", "BAD", "BYE"):
                yield f"{kind} [{bracketed}] {text}" if bracketed else f"{kind} {text}"

    def _error(
        self, module: Module, function: Function | None, node: ast.Call, error: type[MailError]
    ) -> Iterator[str]:
        """Give the wire form of an error, by the protocol that it is made for."""
        known = function.local if function is not None else {}
        if node not in self._inits and "text" not in signature(error).parameters:
            return
        unsupported = issubclass(error, Unsupported) and len(node.args) > 1
        texts = texts_of(module, node.args[0 if unsupported else -1], known) if node.args else []
        named = f"{module.name}: {function.node.name}" if function is not None else ""
        if module.package in ("imap", "mailbox") or named in _OVER_IMAP:
            codes = texts_of(module, node.args[1], known) if unsupported else self._own_codes(error)
            head = "BYE " if module.name in _CLOSING else ""
            yield from ((head or _imap(error, each)) + text for each in codes for text in texts)
            return
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        codes = texts_of(module, given["code"], known) if "code" in given else [str(error.code)]
        statuses = texts_of(module, given["status"], known) if "status" in given else [error.status]
        yield from (" ".join(each) for each in product(codes, statuses, texts))

    def _own_codes(self, error: type[MailError]) -> list[str]:
        """Return the response codes that an error makes of its parameters; "" where it has only its class's."""
        module, node = self._classes.get(error, (None, None))
        for each in ast.walk(node) if node is not None else ():
            if isinstance(each, ast.Assign) and getattr(each.targets[0], "attr", "") == "imap_code":
                assert module is not None
                return texts_of(module, each.value, {})
        return [""]

    def _called(self, module: Module, known: Environment, node: ast.Call, name: str) -> Iterator[str]:
        """Give what the function called makes of the arguments."""
        for function in self._meant(module, name):
            function.called = True
            given = dict(zip(function.parameters, node.args, strict=False))
            given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            for template in list(function.templates):
                yield from self._filled(module, known, function, template, given)

    def _meant(self, module: Module, name: str) -> list[Function]:
        """Return the functions of that name with templates: of the module, else where it is imported from, else of
        the package (methods of other objects)."""
        imported = (getattr(getattr(module.runtime, name, None), "__module__", "") or "").removeprefix(
            "fedaemon."
        )
        for where in (module.name, imported.replace(".", "/") + ".py"):
            if (where, name) in self._functions:
                return [each for each in [self._functions[where, name]] if each.templates]
        return [
            each
            for each in list(self._functions.values())
            if each.node.name == name and each.module.package == module.package and each.templates
        ]

    def _filled(
        self,
        module: Module,
        known: Environment,
        function: Function,
        template: str,
        given: dict[str, ast.expr],
    ) -> Iterator[str]:
        """Give *template* with what its parameters may be; a response code that is empty goes."""
        defaults = defaults_of(function.node)
        names = list(dict.fromkeys(_PARAMETER.findall(template)))
        values = []
        for name in names:
            if name in given:
                values.append(texts_of(module, given[name], known))
            elif name in defaults and f" {marked(name)}" not in template:
                values.append(texts_of(function.module, defaults[name], {}))
            else:
                values.append(["{}"])
        for texts in product(*values):
            by_name = dict(zip(names, texts, strict=True))
            yield _PARAMETER.sub(lambda match: by_name[match[1]], template).replace(" [] ", " ")  # noqa: B023


def _imap(error: type[MailError], code: str) -> str:
    """Return what stands before the text of an error over IMAP, as ``imap.reply`` writes it."""
    if code:
        return f"NO [{code}] "
    made = MailError.__new__(error)
    MailError.__init__(made, "text")
    if isinstance(made, Unsupported):
        made.response_code = b""
    return refusal_of(None, made).decode("ascii").removeprefix("* ").removesuffix("text\r\n")


def _is_init(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "__init__"


def _error_called(module: Module, node: ast.expr) -> type[MailError] | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        imported = getattr(module.runtime, node.value.id, None)
        return _error_named(imported, node.attr) if isinstance(imported, ModuleType) else None
    return _error_named(module.runtime, node.id) if isinstance(node, ast.Name) else None


def _error_named(module: ModuleType, name: str) -> type[MailError] | None:
    found = getattr(module, name, None)
    return found if isinstance(found, type) and issubclass(found, MailError) else None
