"""Holds the texts in translations/en.json against the code: nothing that people can meet is without words.

- every Reason has a sentence under `exceptions`, every IssueKind a repair under `issues`
- a list of state texts that names half of one of the core's enumerations names all of it
- every literal translation key, step, form error, abort reason and action that the code uses has its text
- a text asks for no placeholder that the code does not give, where the code gives them literally
- the rules that Home Assistant's own checker has for texts: no HTML, no address, no quoted placeholder, no stray space
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, override

import yaml

INTEGRATION = Path("custom_components/firmware_hub")
PURE = ("core", "dialects", "sources")
FLOWS = ("config", "options", "config_subentries", "issues")
PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
type Texts = dict[str, Any]


def enumerations() -> dict[str, set[str]]:
    """The values of each StrEnum of the core, by the name of the class."""
    found: dict[str, set[str]] = {}
    for path in sorted((INTEGRATION / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "StrEnum" for base in node.bases):
                found[node.name] = {
                    item.value.value
                    for item in node.body
                    if isinstance(item, ast.Assign)
                    and isinstance(item.value, ast.Constant)
                    and isinstance(item.value.value, str)
                }
    return found


def missing_enumeration_texts(texts: Texts) -> Iterator[str]:
    """Values of the core's enumerations that have no words."""
    known = enumerations()
    for value in sorted(known.get("Reason", set()) - set(texts.get("exceptions", {}))):
        yield f"exceptions.{value}: Reason has no text"
    for value in sorted(known.get("IssueKind", set()) - set(texts.get("issues", {}))):
        yield f"issues.{value}: IssueKind has no text"
    for where, states in mappings_named("state", texts):
        # Two enumerations may share words: the list is about the one that it names most of.
        name, values = max(known.items(), key=lambda item: len(item[1] & set(states)), default=("", set()))
        if len(values) > 3 and 2 * len(values & set(states)) >= len(values):
            for value in sorted(values - set(states)):
                yield f"{where}.{value}: {name} has no text"


def mappings_named(wanted: str, texts: Texts, where: str = "") -> Iterator[tuple[str, Texts]]:
    """Every object under that key, at any depth, with its place."""
    for key, value in texts.items():
        if isinstance(value, dict):
            place = f"{where}.{key}".lstrip(".")
            if key == wanted:
                yield place, value
            yield from mappings_named(wanted, value, place)


def leaves(texts: Texts, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its place."""
    for key, value in texts.items():
        place = f"{where}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from leaves(value, place)
        elif isinstance(value, str):
            yield place, value


def unfit_texts(texts: Texts) -> Iterator[str]:
    """Texts that Home Assistant's own checker would refuse."""
    for place, text in leaves(texts):
        if re.search(r"</?[a-zA-Z][^>]*>", text):
            yield f"{place}: HTML in a text"
        if re.search(r"https?://", text):
            yield f"{place}: an address belongs into a placeholder"
        if re.search(r"'\{[^}]*\}'", text):
            yield f"{place}: a placeholder in single quotes"
        if text != text.strip():
            yield f"{place}: a space at an end"
        for key in place.split("."):
            if not re.fullmatch(r"[a-z0-9_-]+", key):
                yield f"{place}: the key {key!r} may hold only a-z, 0-9, - and _"


def string(node: ast.expr | None) -> str | None:
    """The value of a literal string, None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def called(node: ast.Call) -> str:
    """The last part of what is called: `create` for `a.b.create(...)`."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


class Uses(ast.NodeVisitor):
    """Collects the literal texts that one module asks for, and says which are missing."""

    def __init__(self, path: Path, texts: Texts) -> None:
        self.path = path
        self.texts = texts
        self.faults: list[str] = []
        self.names: dict[str, str] = {}

    def check(self) -> list[str]:
        """What is missing for this module."""
        tree = ast.parse(self.path.read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and (value := string(node.value)) is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.names.update({target.id: value for target in targets if isinstance(target, ast.Name)})
        self.visit(tree)
        return self.faults

    def _text(self, node: ast.expr | None) -> str | None:
        """A literal, or a constant of the same module."""
        return self.names.get(node.id) if isinstance(node, ast.Name) else string(node)

    def _want(self, found: bool, node: ast.AST, what: str) -> None:
        if not found:
            self.faults.append(f"{self.path}:{getattr(node, 'lineno', 0)}: no text for {what}")

    @override
    def visit_Call(self, node: ast.Call) -> None:
        """Keys that are given to a call by name."""
        given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if (key := self._text(given.get("translation_key"))) is not None:
            self._translation_key(node, key, given.get("translation_placeholders"))
        if (step := self._text(given.get("step_id"))) is not None:
            self._want(self._in_flow("step", step), node, f"the step {step!r}")
        if called(node) == "async_abort" and (reason := self._text(given.get("reason"))) is not None:
            self._want(self._in_flow("abort", reason), node, f"the abort reason {reason!r}")
        if called(node) == "async_register" and "services" in ast.unparse(node.func) and len(node.args) > 1:
            name = self._text(node.args[1])
            self._want(name is None or name in self.texts.get("services", {}), node, f"the action {name!r}")
        self.generic_visit(node)

    @override
    def visit_Assign(self, node: ast.Assign) -> None:
        """`_attr_translation_key = "x"` and `errors["base"] = "x"`."""
        value = self._text(node.value)
        for target in node.targets:
            if value is not None and "_attr_translation_key" in ast.unparse(target):
                self._entity(node, value)
            if value is not None and isinstance(target, ast.Subscript) and ast.unparse(target.value) == "errors":
                self._want(self._in_flow("error", value), node, f"the form error {value!r}")
        self.generic_visit(node)

    def _translation_key(self, node: ast.Call, key: str, placeholders: ast.expr | None) -> None:
        name = called(node)
        if "Selector" in name:
            self._want(key in self.texts.get("selector", {}), node, f"selector.{key}")
        elif "Description" in name:
            self._entity(node, key)
        elif name == "async_create_issue":
            self._want(key in self.texts.get("issues", {}), node, f"issues.{key}")
            self._placeholders(node, self.texts.get("issues", {}).get(key, {}), placeholders)
        else:
            self._want(key in self.texts.get("exceptions", {}), node, f"exceptions.{key}")
            self._placeholders(node, self.texts.get("exceptions", {}).get(key, {}), placeholders)

    def _placeholders(self, node: ast.Call, texts: Texts, given: ast.expr | None) -> None:
        wanted = {name for _, text in leaves(texts) for name in PLACEHOLDER.findall(text)}
        if given is None:
            known: set[str] = set()
        elif isinstance(given, ast.Dict) and all(string(key) is not None for key in given.keys):
            known = {str(string(key)) for key in given.keys}
        else:
            return
        for name in sorted(wanted - known):
            self.faults.append(f"{self.path}:{node.lineno}: the text asks for {{{name}}}, which is not given")

    def _entity(self, node: ast.AST, key: str) -> None:
        platform = self.path.stem
        platforms = self.texts.get("entity", {})
        candidates = [platforms.get(platform, {})] if platform in platforms else platforms.values()
        self._want(any(key in entities for entities in candidates), node, f"entity.{platform}.{key}")

    def _in_flow(self, kind: str, key: str) -> bool:
        sections = {name: self.texts.get(name, {}) for name in FLOWS}
        return any(key in found for _, found in mappings_named(kind, sections))


def missing_action_texts(texts: Texts) -> Iterator[str]:
    """Actions and their fields in services.yaml that have no words."""
    path = INTEGRATION / "services.yaml"
    actions = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}
    for name, action in (actions or {}).items():
        words = texts.get("services", {}).get(name, {})
        if not {"name", "description"} <= set(words):
            yield f"services.{name}: no name or no description"
        for field in (action or {}).get("fields", {}):
            if not {"name", "description"} <= set(words.get("fields", {}).get(field, {})):
                yield f"services.{name}.fields.{field}: no name or no description"


def main() -> int:
    """Print every fault; 1 if there is one."""
    path = INTEGRATION / "translations" / "en.json"
    texts: Texts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    faults = [*missing_enumeration_texts(texts), *unfit_texts(texts), *missing_action_texts(texts)]
    for module in sorted(INTEGRATION.rglob("*.py")):
        if not any(INTEGRATION / part in module.parents for part in PURE):
            faults += Uses(module, texts).check()
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    print(f"{sum(1 for _ in leaves(texts))} texts, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
