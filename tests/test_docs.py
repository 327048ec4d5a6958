"""The documentation is true: pages are generated from the code, commands in it are run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from holdfast.frontdoor import COMMANDS, SCRIPTS, commands
from holdfast.settings import SETTINGS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = generator().pages()


@pytest.mark.parametrize("page", GENERATED)
def test_a_reference_page_is_what_the_code_says(page: str) -> None:
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert written == GENERATED[page], "run: make docs"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section_with_an_example(command: str) -> None:
    assert f"## holdfast {command}\n" in GENERATED["commands.md"]
    found = commands.get_command(click.Context(commands), command)
    assert found
    for each in found.commands.values() if isinstance(found, click.Group) else [found]:
        assert "Example: holdfast" in (each.help or ""), command


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting: object) -> None:
    assert f"| `{getattr(setting, 'name')}` |" in GENERATED["settings.md"]  # noqa: B009 - a parametrised object


@pytest.mark.parametrize("script", [*SCRIPTS, "wsgi"])
def test_the_readme_shows_every_script(script: str) -> None:
    assert f"{script}.py" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_pages_name_only_commands_that_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"(?:^|[`/ ])holdfast ([a-z][a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert name in COMMANDS or name in WORDS, f"{page.name}: holdfast {name}"


WORDS = {"import"}
"""Words that follow the name in prose and Python, and are no commands."""


def blocks(title: str) -> str:
    """The shell blocks of one section of the README."""
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shell(script: str, folder: Path) -> str:
    """Run a block as one shell session, stopping at the first command that fails."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-m", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_ten_scripts_of_the_readme_run_in_order(tmp_path: Path) -> None:
    script = blocks("The ten scripts, one by one")
    assert script.startswith(". .venv/bin/activate\n")
    script = script.removeprefix(". .venv/bin/activate\n")
    # Port 8000 may be somebody else's on this machine.
    port = f"""sed -i.port -e 's/^{{/{{"port": {free_port()},/' config.json"""
    script = script.replace("cd company\n", f"cd company\n{port}\n", 1)
    out = shell(script, tmp_path)
    assert "decision: retrain" in out
    assert (tmp_path / "company" / "practicemodels" / "apireturns.txt").stat().st_size > 1000
    assert out.rstrip().splitlines()[-1].startswith("the whole list: models/assessment.csv")


def test_the_own_data_of_the_readme_runs(tmp_path: Path) -> None:
    shell("holdfast demo-data there --rows 400 --extended && mv there/sourcedata/dataset3.csv clients.csv", tmp_path)
    out = shell(blocks("Your own data").split("python examples")[0], tmp_path)
    assert "decision: train" in out
    assert (tmp_path / "ours" / "models" / "assessment.csv").exists()


def test_the_three_departments_of_the_readme_become_one_dataset_and_a_client_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    block = blocks("Your own data")
    out = shell(block[block.index("python examples") :], tmp_path)
    assert "1 quarantined" in out
    assert out.splitlines()[-1] == "no trace", "the last command that prints is the user's own search"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_run_ends_with_the_list_of_clients_to_call(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    done = subprocess.run(
        ["make", "--no-print-directory", "run", f"DEMO={target}", "--assume-old=.venv/.installed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decision: retrain" in done.stdout
    assert "20 to call first" in done.stdout
