"""Size budgets: how long files and functions may grow before somebody has to cut them.

Prints the figures of every zone and ends with 1 if one is over its budget. Docstrings are not counted in functions: a
well described one is not a long one.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

INTEGRATION = Path("custom_components/firmware_hub")
PURE = ("core", "dialects", "sources")
type Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Budget:
    """Limits in lines; None where there is none."""

    file: int | None = None
    files: dict[str, int] = field(default_factory=dict)
    function_median: int | None = None
    function_p90: int | None = None
    function_max: int | None = None


PURE_BUDGET = Budget(file=400, function_median=12, function_p90=30, function_max=60)
SHELL_BUDGET = Budget(file=300, files={"config_flow.py": 450}, function_p90=30, function_max=60)
TEST_BUDGET = Budget(function_median=10, function_p90=25)
FREE = Budget()


@dataclass(frozen=True)
class Length:
    """A file or a function, and how many lines it has."""

    lines: int
    name: str


def functions_of(tree: ast.Module, path: Path, prefix: str) -> Iterator[Length]:
    """Every function whose name starts with the prefix, without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(prefix):
            yield Length(_length(node), f"{path}:{node.lineno} {node.name}")


def _length(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def quantile(lengths: list[Length], share: float) -> int:
    """The length that the given share of all does not exceed."""
    ordered = sorted(length.lines for length in lengths)
    return ordered[round(share * (len(ordered) - 1))] if ordered else 0


def faults_of(budget: Budget, files: list[Length], functions: list[Length]) -> Iterator[str]:
    """One sentence for each budget that is broken."""
    for file in files:
        limit = budget.files.get(Path(file.name).name, budget.file)
        if limit is not None and file.lines > limit:
            yield f"{file.name} has {file.lines} lines, at most {limit} are allowed"
    if budget.function_max is not None:
        for function in functions:
            if function.lines > budget.function_max:
                yield f"{function.name} has {function.lines} lines, at most {budget.function_max} are allowed"
    for name, limit, share in (("median", budget.function_median, 0.5), ("p90", budget.function_p90, 0.9)):
        if limit is not None and (found := quantile(functions, share)) > limit:
            yield f"the {name} of the functions is {found} lines, at most {limit} are allowed"


def measure(label: str, paths: list[Path], budget: Budget, prefix: str = "") -> list[str]:
    """Print one line of figures and answer with what is over the budget."""
    files: list[Length] = []
    functions: list[Length] = []
    for path in paths:
        text = path.read_text("utf-8")
        files.append(Length(text.count("\n"), str(path)))
        functions += functions_of(ast.parse(text, str(path)), path, prefix)
    print(
        f"{label:10} {len(files):4} files {sum(file.lines for file in files):6} lines, longest {quantile(files, 1):4}"
        f" | {len(functions):5} functions, median {quantile(functions, 0.5):3},"
        f" p90 {quantile(functions, 0.9):3}, longest {quantile(functions, 1):3}"
    )
    return [f"{label}: {fault}" for fault in faults_of(budget, files, functions)]


def python_files(*folders: Path) -> list[Path]:
    """All Python files below the folders."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def main() -> int:
    """Measure every zone."""
    pure = [INTEGRATION / part for part in PURE]
    shell = [path for path in python_files(INTEGRATION) if not any(part in path.parents for part in pure)]
    faults: list[str] = []
    for part in pure:
        faults += measure(part.name, python_files(part), PURE_BUDGET)
    faults += measure("shell", shell, SHELL_BUDGET)
    faults += measure("tool", python_files(Path("firmware_hub_tool")), SHELL_BUDGET)
    faults += measure("simulator", python_files(Path("simulator")), FREE)
    faults += measure("tests", python_files(Path("tests")), TEST_BUDGET, prefix="test_")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
