"""The house: which module may import which, how large things may be, and what nobody may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "holdfast"

# Lowest first. A part imports from lower floors, from its own package, and from parts before it on its own floor.
FLOORS = (
    ("errors", "formulas", "limits", "machine", "progress", "schema", "sourcelist", "records", "settings"),
    ("risk", "workspace"),
    ("engines", "sources", "store", "render"),
    ("session", "dataset", "lineage", "evaluation", "serving", "scratch", "democompany", "intake", "erasing"),
    ("steps",),
    ("invocation", "cli", "web"),
    ("frontdoor", "__main__", "__init__"),
)
# Parts of one floor that know nothing of each other, whatever their order.
STRANGERS = ({"engines", "sources", "store", "render"}, {"cli", "web"}, {"risk", "workspace"})

# A third-party package and the only modules that may import it.
OWNERS = {
    "alembic": {
        "store.migrations",
        "store.migrations.env",
        "store.migrations.versions.0001_first",
        "store.migrations.versions.0002_data",
        "store.migrations.versions.0003_custody",
        "store.migrations.versions.0004_settled",
    },
    "click": {
        "invocation",
        "frontdoor",
        "cli.setup",
        "cli.steps",
        "cli.schema",
        "cli.data",
        "cli.quarantine",
        "web.command",
    },
    "crontab": {"store.crontab"},
    "deltalake": {"store.deltatable"},
    "duckdb": {"engines.duckdb", "engines.progress", "engines.summary"},
    "flask": {"web.application", "web.problems", "web.requests"},
    "granian": {"web.command"},
    "jinja2": {"render.document"},
    "markupsafe": {"render.document"},
    "matplotlib": {"render.plots", "render.svg"},
    "packaging": {"sources.packages"},
    "pandas": {"risk.linear"},
    "rich": {"render.terminal", "render.contract", "render.summary", "invocation"},
    "sklearn": {"risk.linear"},
    "sqlalchemy": {
        "sources.database",
        "sources.snapshot",
        "store.migrations.versions.0002_data",
        "store.migrations.versions.0003_custody",
        "store.migrations.versions.0004_settled",
        "store.custody",
        "store.database",
        "store.ledger",
        "store.tables",
        "store.migrations",
        "store.migrations.versions.0001_first",
    },
    "werkzeug": {"web.application", "web.problems", "web.requests"},
}
LARGEST_MODULE = 400
LONGEST_BODY = 40
MOST_PARAMETERS = 6


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE).with_suffix("")
        if relative.parts[0] != "starter":
            parts = relative.parts[:-1] if relative.name == "__init__" and len(relative.parts) > 1 else relative.parts
            found[".".join(parts)] = ast.parse(path.read_text())
    return found


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(name: str) -> set[str]:
    inside = {target.removeprefix("holdfast.") for target in imports(MODULES[name]) if target.startswith("holdfast.")}
    return {target for target in inside if target in MODULES}


def floor_of(module: str) -> tuple[int, int]:
    part = module.split(".", maxsplit=1)[0]
    for height, parts in enumerate(FLOORS):
        if part in parts:
            return height, parts.index(part)
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module: str) -> None:
    for target in own_imports(module):
        if target.split(".")[0] != module.split(".", maxsplit=1)[0]:
            assert floor_of(target) < floor_of(module), f"{module} imports {target}"


@pytest.mark.parametrize("module", MODULES)
def test_strangers_do_not_import_each_other(module: str) -> None:
    part = module.split(".", maxsplit=1)[0]
    for target in own_imports(module):
        other = target.split(".")[0]
        assert part == other or not any({part, other} <= strangers for strangers in STRANGERS), f"{module}: {target}"


def test_steps_do_not_import_steps_except_the_process() -> None:
    for module in MODULES:
        if module.startswith("steps.") and module != "steps.process":
            assert not {t for t in own_imports(module) if t.startswith("steps.")}, module


@pytest.mark.parametrize("module", MODULES)
def test_third_party_packages_are_imported_only_by_their_owners(module: str) -> None:
    for target in imports(MODULES[module]):
        package = target.split(".")[0]
        assert package not in OWNERS or module in OWNERS[package], f"{module} imports {package}"


def test_there_is_no_cycle_of_imports_at_module_level() -> None:
    graph = {module: own_imports_at_start(tree) & set(MODULES) - {module} for module, tree in MODULES.items()}
    while leaves := [module for module, targets in graph.items() if not targets & graph.keys()]:
        for leaf in leaves:
            del graph[leaf]
    assert not graph


def own_imports_at_start(tree: ast.Module) -> set[str]:
    top = ast.Module(
        body=[node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], type_ignores=[]
    )
    return {target.removeprefix("holdfast.") for target in imports(top)}


@pytest.mark.parametrize("module", MODULES)
def test_only_the_workspace_reads_the_environment_and_nobody_changes_directory(module: str) -> None:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"environ", "getenv", "getenvb"} or module == "workspace", f"{module}: {node.attr}"
            assert node.attr != "chdir", module


@pytest.mark.parametrize("module", MODULES)
def test_only_the_front_doors_catch_everything(module: str) -> None:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ExceptHandler):
            everything = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            raises_again = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            assert (
                not everything
                or raises_again
                or module in {"frontdoor", "intake.child", "web.problems", "web.application"}
            ), module


@pytest.mark.parametrize("module", MODULES)
def test_a_module_keeps_within_the_budget(module: str) -> None:
    path = SOURCE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(path.read_text().splitlines()) <= LARGEST_MODULE
    assert not {"utils", "helpers", "common"} & set(module.split("."))


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("store.migrations.versions")])
def test_a_function_keeps_within_the_budget(module: str) -> None:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= LONGEST_BODY, f"{module}.{node.name} has {length} lines"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            counted = [a for a in arguments if a.arg not in {"self", "cls"}]
            assert len(counted) <= MOST_PARAMETERS, f"{module}.{node.name} has {len(counted)} parameters"


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("store.migrations")])
def test_every_public_name_is_documented(module: str) -> None:
    tree = MODULES[module]
    assert ast.get_docstring(tree), f"{module} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module}.{node.name}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("cli.") or name == "web.command"])
def test_a_command_only_parses_calls_and_renders(module: str) -> None:
    for node in MODULES[module].body:
        if isinstance(node, ast.FunctionDef) and any(is_command(each) for each in node.decorator_list):
            first = node.body[1] if len(node.body) > 1 else node.body[0]
            assert (node.end_lineno or 0) - first.lineno + 1 <= 15, f"{module}.{node.name}"


def is_command(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "command"
