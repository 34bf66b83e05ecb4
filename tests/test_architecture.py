"""The direction of imports, the one writer of files, and the size of things, read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*(ROOT / "nnkit").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")])
# The ranks, lowest first; names in one tuple are siblings, which never import each other.
RANKS = (
    ("errors", "seeding", "machine", "processes", "secrets"),
    ("regular", "command", "packed"),
    ("storage", "links"),
    ("lock",),
    ("spec", "geometry", "usercode"),
    ("config",),
    ("data", "models", "objective", "optim", "metrics", "augment"),
    ("summary",),
    ("train",),
    ("track", "runs", "scoring"),
    ("catalog",),
    ("picks",),
    ("assemble",),
    ("forerunner",),
    ("warm_start",),
    ("facts", "baseline", "tracking", "way_on"),
    ("ending", "final"),
    ("changes",),
    ("run",),
    ("infer",),
    ("folds",),
    ("plots",),
    ("plots_sequences", "plots_sweep", "plots_masks"),
    ("sweep",),
    ("cli", "__init__"),
    ("__main__",),
)
RANK_OF = {name: rank for rank, names in enumerate(RANKS) for name in names}
LIGHT = {
    "errors",
    "seeding",
    "machine",
    "processes",
    "command",
    "secrets",
    "regular",
    "storage",
    "links",
    "lock",
    "spec",
    "geometry",
    "config",
    "runs",
    "catalog",
    "way_on",
    "cli",
    "__init__",
    "__main__",
}
COMMAND_LINE = {"cli", "__init__", "__main__"}
HYDRAS = ("nnkit/config/compose.py", "nnkit/config/space.py", "nnkit/cli/", "hydra_plugins/")
LONGEST_FILE, LONGEST_FUNCTION = 400, 40
WRITING = ("nnkit/storage.py", "nnkit/lock.py")
WRITERS = {"write_text", "write_bytes", "mkdir", "makedirs", "rename", "replace", "unlink", "rmtree", "rmdir", "touch"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    """The top-level module of nnkit that a file belongs to."""
    if path.is_relative_to(ROOT / "hydra_plugins"):
        return "cli"
    return path.relative_to(ROOT / "nnkit").parts[0].removesuffix(".py")


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in FILES]


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "nnkit")


def at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not is_typing:
            yield node
            yield from at_import_time(node)


def test_every_module_has_a_rank() -> None:
    assert {part_of(path) for path in FILES} <= set(RANK_OF)


def test_a_module_imports_only_lower_ranks_and_its_own_part() -> None:
    wrong = []
    for path, tree in trees():
        own = part_of(path)
        for name in imports(ast.walk(tree)):
            parts = name.split(".")
            if parts[0] != "nnkit" or len(parts) == 1 or parts[1] not in RANK_OF:
                continue
            if parts[1] != own and RANK_OF[parts[1]] >= RANK_OF[own]:
                wrong.append(f"{name_of(path)} imports {name}")
    assert wrong == []


def test_the_lowest_ranks_runs_and_the_command_line_import_no_torch_when_they_are_imported() -> None:
    heavy = {"torch", "torchvision", "pandas", "sklearn", "matplotlib", "rich", "tqdm"}
    wrong = [
        f"{name_of(path)} imports {name}"
        for path, tree in trees()
        if part_of(path) in LIGHT
        for name in imports(at_import_time(tree))
        if name.split(".")[0] in heavy
    ]
    assert wrong == []


def test_hydra_is_imported_only_where_words_are_composed() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path, tree in trees()
        if not name_of(path).startswith(HYDRAS)
        for name in imports(ast.walk(tree))
        if name.split(".")[0] == "hydra"
    ]
    assert wrong == []


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""), node


def writes(name: str, call: ast.Call) -> bool:
    if name == "open":
        modes = [a for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        return any(isinstance(m.value, str) and set(m.value) & set("wax+") and len(m.value) <= 3 for m in modes)
    is_text_or_dataclass = name == "replace" and ast.unparse(call.func) != "os.replace"
    is_ours = name == "write_bytes" and isinstance(call.func, ast.Name)  # storage's own
    return name in WRITERS and not is_text_or_dataclass and not is_ours


def test_only_storage_writes_files() -> None:
    wrong = [
        f"{name_of(path)}:{call.lineno} {ast.unparse(call)}"
        for path, tree in trees()
        if name_of(path) not in WRITING
        for name, call in calls(tree)
        if writes(name, call)
    ]
    assert wrong == []


def test_the_search_for_writers_finds_the_one_there_is() -> None:
    tree = ast.parse((ROOT / "nnkit" / "storage.py").read_text())
    found = {name for name, call in calls(tree) if writes(name, call)}
    assert {"open", "rename", "replace", "mkdir", "rmtree"} <= found


def test_only_the_command_line_ends_the_process() -> None:
    wrong = [
        name_of(path)
        for path, tree in trees()
        if part_of(path) not in COMMAND_LINE
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.exit", "os._exit")
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines without its head and docstring"


def test_names_say_the_thing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "factory"}
    assert not [name_of(p) for p in FILES if p.stem in vague or p.stem.startswith("base_") or p.parent.name in vague]
