"""What an expression in the code may be as text.

Constants, local names, f-strings, ``%`` and conditional expressions are followed. What is only known at run time
is written ``{}``, a parameter of the function around it as its name between two NULs.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from types import ModuleType

FORMAT = re.compile(r"%[ds]")
"""What ``%`` puts something in for."""

Environment = dict[str, list[ast.expr]]
"""Local names with what is assigned to them: nothing for parameters."""


@dataclass(frozen=True)
class Module:
    """A module's tree; *name* is its path below ``fedaemon/``, *runtime* the imported module."""

    name: str
    tree: ast.Module
    runtime: ModuleType

    @property
    def package(self) -> str:
        """The folder it is in."""
        return self.name.rpartition("/")[0].split("/")[0]

    @cached_property
    def worded(self) -> dict[str, list[ast.expr]]:
        """Functions that return a text, with what they return."""
        return {
            node.name: [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "str"
        }


def texts_of(module: Module, node: ast.expr, known: Environment) -> list[str]:
    """Return what *node* may be as text, a parameter of the function around it as "\\0name\\0"."""
    match node:
        case ast.Constant():
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            return [str(value)] if value is not None else [""]
        case ast.JoinedStr():
            pieces = [_piece(module, part, known) for part in node.values]
            return ["".join(each) for each in product(*pieces)]
        case ast.BinOp(op=ast.Mod()):
            return [FORMAT.sub("{}", text) for text in texts_of(module, node.left, known)]
        case ast.BinOp(op=ast.Add(), right=right) if not _is_number(right):
            sides = product(texts_of(module, node.left, known), texts_of(module, node.right, known))
            return [left + right for left, right in sides]
        case ast.IfExp():
            return texts_of(module, node.body, known) + texts_of(module, node.orelse, known)
        case ast.Name() if node.id in known:
            # Without its own name, which may stand in what it is made of.
            rest = {name: value for name, value in known.items() if name != node.id}
            values = known[node.id]
            found = [text for value in values for text in texts_of(module, value, rest)]
            return list(dict.fromkeys(found)) if values else [marked(node.id)]
        case ast.Name() if isinstance(value := getattr(module.runtime, node.id, None), str | bytes):
            return [value.decode("latin-1") if isinstance(value, bytes) else value]
        case ast.Call(func=ast.Name(id=name)) if name in module.worded:
            return [text for words in module.worded[name] for text in texts_of(module, words, {})]
    return ["{}"]


def _piece(module: Module, node: ast.expr, known: Environment) -> list[str]:
    """Return what a part of an f-string may be; numbers and what is computed stay open."""
    value = node.value if isinstance(node, ast.FormattedValue) else node
    if isinstance(node, ast.FormattedValue) and not (isinstance(value, ast.Name) and value.id in known):
        return ["{}"]
    return texts_of(module, value, known) if isinstance(value, ast.expr) else ["{}"]


def marked(name: str) -> str:
    """Return how a parameter is written."""
    return f"\0{name}\0"


def locals_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Environment:
    """Return the local names of a function with what is assigned to them; nothing for its parameters."""
    known: Environment = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            known.setdefault(node.targets[0].id, []).append(node.value)
    return known | {name: [] for name in _all_parameters(function)}


def _all_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def defaults_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
    """Return the parameters that need not be given, with what they are then."""
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
    found = dict(zip(reversed(names), reversed(node.args.defaults), strict=False))
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return found | {each.arg: default for each, default in pairs if default is not None}


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)
