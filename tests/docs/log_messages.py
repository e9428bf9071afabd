"""Every message that mailingest can log, read from its source.

Messages are constant, and what differs is in their values.  Where a part differs all the same
(which input, what waits), it stands here as …
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.blocks import ROOT

ANY_LEVEL: Final = "any level"
_LEVELS: Final = {
    **{name: name for name in ("debug", "info", "warning", "error")},
    "exception": "error",
    "log": ANY_LEVEL,
}

Message = tuple[str, str]
"""Level and text."""


def messages() -> set[Message]:
    """Those of all modules; raises ValueError for one that cannot be told from the source."""
    return {one for path in (ROOT / "mailingest").rglob("*.py") for one in messages_of(path)}


def messages_of(path: Path) -> Iterator[Message]:
    """Those of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    constants = _constants(tree)
    for statement in tree.body:
        match statement:
            case ast.ImportFrom(module=str(name), names=names) if name.startswith("mailingest"):
                module = ROOT / name.replace(".", "/")
                file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
                there = _constants(ast.parse(file.read_text("utf-8")))
                constants |= {one.name: there[one.name] for one in names if one.name in there}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=name), args=arguments) if (
                name in _LEVELS
            ):
                message = arguments[1 if name == "log" else 0]
                for text in _texts(message, constants):
                    yield _LEVELS[name], text


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: value
        for node in tree.body
        for target, value in _assigned(node)
        if isinstance(target, ast.Name)
    }


def _assigned(node: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return [(target, value)]
    return []


def _texts(node: ast.expr, constants: dict[str, ast.expr]) -> list[str]:
    """What an expression may be; a part that is no constant is …"""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            texts = [""]
            for value in values:
                texts = [text + part for text in texts for part in _texts(value, constants)]
            return texts
        case ast.FormattedValue(value=value):
            return _texts(value, constants) if isinstance(value, ast.IfExp) else ["…"]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_texts(body, constants), *_texts(orelse, constants)]
        case ast.Name(id=name) if name in constants:
            return _texts(constants[name], constants)
        case ast.Subscript(value=ast.Name(id=name)) if name in constants:
            return _texts(constants[name], constants)
        case ast.Dict(values=values):
            return [text for value in values for text in _texts(value, constants)]
    raise ValueError(f"a log message has to be constant: {ast.unparse(node)}")
