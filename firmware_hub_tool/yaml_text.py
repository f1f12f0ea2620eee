"""YAML as a maker means it: a version stays the text that was typed, a name twice is a mistake, nothing is expanded.

YAML 1.1 turns ``1.10`` into the number 1.1, ``no`` into false, ``12:30`` into 750 and a date into a date. Here only
whole decimal numbers, ``true``, ``false`` and ``null`` are anything but text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any, override

import yaml

from .core import limits
from .faults import Code, Exit, Fault

_NULL, _BOOL, _INT = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int"))


class _Loader(yaml.SafeLoader):
    """The safe loader without its guesses, without anchors, and without names twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the library's
            raise yaml.MarkedYAMLError(problem="aliases are not understood", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a name must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the name {key.value} twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(_NULL, re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(_INT, re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))


def read_mapping(data: bytes, name: str) -> dict[str, Any]:
    """Read a document that is one mapping of names; an empty one is empty.

    Raises:
        Fault: ``no_yaml`` with the line, in the file called ``name``.
    """
    try:
        # The loader is a safe one: it makes nothing but texts, numbers, lists and mappings.
        document = yaml.load(data.decode(), _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Fault(Exit.BAD_INPUT, Code.NO_YAML, error.problem or "no YAML", path=f"{name}{line}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Fault(Exit.BAD_INPUT, Code.NO_YAML, type(error).__name__, path=name) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Fault(Exit.BAD_INPUT, Code.NO_YAML, "not a mapping of names", path=name)
    _check(document, name, 0)
    return document


def _check(value: object, path: str, depth: int) -> None:
    """Refuse what a manifest cannot hold: names that are no text, and nesting that nobody can mean."""
    if depth > limits.MAX_JSON_DEPTH:
        raise Fault(Exit.BAD_INPUT, Code.NO_YAML, "too deep", path=path)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Fault(Exit.BAD_INPUT, Code.NEEDS_QUOTES, f"{key!r} is no name", path=path)
            _check(item, f"{path}.{key}" if depth else f"{path}: {key}", depth + 1)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, f"{path}[{number}]", depth + 1)
