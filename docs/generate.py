"""Writes docs/reference/ from the live objects: commands, settings, errors, records, the Python functions, the API;
and docs/images/ from the demo company.

Run it with `make docs`; tests/test_docs.py fails when a page is not what this writes.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import subprocess
import sys
import tempfile
import typing
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import click
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

import holdfast
from holdfast import errors, records
from holdfast.frontdoor import COMMANDS, SCRIPTS, commands
from holdfast.settings import SETTINGS
from holdfast.web import application, problems

FOLDER = Path(__file__).parent / "reference"
PICTURE = Path(__file__).parent / "images" / "list.svg"
NOTE = "<!-- written by docs/generate.py: edit the code, then run `make docs` -->\n"


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {
        "commands.md": _page("Commands", _commands()),
        "settings.md": _page("Settings", _settings()),
        "errors.md": _page("Errors and exit statuses", _errors()),
        "api.md": _page("API", _api()),
        "python.md": _page("From Python", _python()),
        "records.md": _page("Records", _records()),
    }


def _page(title: str, lines: Iterator[str]) -> str:
    return "\n".join([NOTE, f"# {title}", "", *lines]).rstrip() + "\n"


def _commands() -> Iterator[str]:
    yield "Every command takes `--workspace DIR` (default: this folder), `--json` (only the record) and `--quiet`."
    yield ""
    scripts = {command: f"{script}.py" for script, command in SCRIPTS.items()}
    context = click.Context(commands, info_name="holdfast")
    for name in COMMANDS:
        command = commands.get_command(context, name)
        if command is None:
            continue
        yield f"## holdfast {name}"
        yield ""
        if name in scripts:
            yield f"The script `{scripts[name]}` of a workspace is this command."
            yield ""
        yield from _help(command, context, name)
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            for each, subcommand in command.commands.items():
                yield f"### holdfast {name} {each}"
                yield ""
                yield from _help(subcommand, inner, each)


def _help(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    width = {"max_content_width": 100, "terminal_width": 100}
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings, **width)
    yield "```text"
    yield command.get_help(context)
    yield "```"
    yield ""


def _settings() -> Iterator[str]:
    yield "The keys of `config.json`. The five folders are required; that alone is a complete configuration."
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for setting in SETTINGS:
        default = "required" if setting.required else "not set" if setting.default is None else f"`{setting.default}`"
        yield f"| `{setting.name}` | {setting.type} | {default} | {setting.help} |"


def _errors() -> Iterator[str]:
    yield "```text"
    yield inspect.getdoc(errors) or ""
    yield "```"
    yield ""
    yield "| error | code | exit status | meaning |"
    yield "|---|---|---|---|"
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    for kind in sorted(kinds, key=lambda kind: (getattr(kind, "exit_status", 0), kind.__name__)):
        if issubclass(kind, errors.HoldfastError):
            meaning = (inspect.getdoc(kind) or "").splitlines()[0]
            yield f"| `{kind.__name__}` | `{kind.code}` | {kind.exit_status} | {meaning} |"


def _api() -> Iterator[str]:
    yield inspect.getdoc(application.create_app) or ""
    yield ""
    for name, endpoint in {**application.ENDPOINTS, "healthz": application.healthz}.items():
        yield f"## /{name}"
        yield ""
        yield inspect.getdoc(endpoint) or ""
        yield ""
    yield "## Errors"
    yield ""
    yield "Every error is `application/problem+json`: `type`, `title`, `status`, `detail`, and the fields of the"
    yield "error's record: `code`, `file`, `row`, `column`, `value_excerpt`, `run_id`, `hint`."
    yield ""
    yield "| error | status |"
    yield "|---|---|"
    for kind, status in problems.STATUS.items():
        yield f"| `{kind.__name__}` | {status} {HTTPStatus(status).phrase} |"
    yield ""
    yield "A body that is not declared as `application/json` is answered with 415, one that is too long with 413, a"
    yield "Host that is not this machine's loopback with 421."


def _python() -> Iterator[str]:
    yield inspect.getdoc(holdfast) or ""
    yield ""
    for name in holdfast.__all__:
        thing = getattr(holdfast, name)
        signature = "" if inspect.isclass(thing) else _signature(thing)
        yield f"## {name}"
        yield ""
        yield f"```python\n{name}{signature}\n```"
        yield ""
        yield inspect.getdoc(thing) or ""
        yield ""


def _signature(function: Callable[..., object]) -> str:
    """A function's signature with types as they are written and functions by their names."""
    signature = inspect.signature(function)
    parameters: list[str] = []
    for parameter in signature.parameters.values():
        default = parameter.default
        shown = parameter.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        kind = "*, " if parameter.kind is parameter.KEYWORD_ONLY and "*, " not in "".join(parameters) else ""
        value = "" if default is parameter.empty else f" = {getattr(default, '__name__', repr(default))}"
        parameters.append(f"{kind}{shown}: {parameter.annotation}{value}")
    return f"({', '.join(parameters)}) -> {signature.return_annotation}"


def _records() -> Iterator[str]:
    yield "What the functions return and `--json` prints. A number that does not exist is `null`."
    yield ""
    for name in records.__all__:
        kind = getattr(records, name)
        if not dataclasses.is_dataclass(kind):
            continue
        yield f"## {name}"
        yield ""
        yield inspect.getdoc(kind) or ""
        yield ""
        yield "| field | type |"
        yield "|---|---|"
        for field, hint in typing.get_type_hints(kind).items():
            yield f"| `{field}` | {_type(hint)} |"
        yield ""


def _type(hint: typing.Any) -> str:
    text = hint.__name__ if inspect.isclass(hint) and not typing.get_args(hint) else str(hint)
    for prefix in ("holdfast.records.data.", "holdfast.records.model.", "holdfast.records.clients.", "typing."):
        text = text.replace(prefix, "")
    for prefix in ("watching", "process", "company"):
        text = text.replace(f"holdfast.records.{prefix}.", "")
    return "`" + text.replace("|", "or") + "`"


def list_picture() -> str:
    """The README's picture: what `holdfast assess` prints about the demo company, as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        steps = (
            f"init {root} --demo --quiet",
            f"run --workspace {root} --quiet",
            f"run --workspace {root} --quiet",
            f"assess --workspace {root} --top 10",
        )
        for number, step in enumerate(steps):
            if number == 2:
                config = root / "config.json"
                text = config.read_text(encoding="utf-8")
                config.write_text(text.replace("practicedata", "sourcedata").replace("practicemodels", "models"))
            command = [sys.executable, "-m", "holdfast", *step.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
    console = Console(record=True, width=104, file=io.StringIO())
    console.print(Text(f"$ holdfast assess --top 10\n{done.stdout.rstrip()}"))
    svg = console.export_svg(title="holdfast", theme=MONOKAI, unique_id="holdfast")
    # The picture stands alone: a font of the reader's own machine instead of one from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", svg, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).replace("Fira Code, ", "")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for page, text in pages().items():
        (FOLDER / page).write_text(text, encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(list_picture(), encoding="utf-8")
