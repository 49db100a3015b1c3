"""Every command and option is in the documentation, and every command line of the documentation exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from datassay.cli.main import app
from datassay.cli.sections import Recipe

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
REFERENCE = ROOT / "docs" / "reference.md"


def commands(group: Any, name: str = "datassay") -> Iterator[tuple[str, Any]]:
    """Full name and definition of every command below a group."""
    if hasattr(group, "commands"):
        for word, command in group.commands.items():
            yield from commands(command, f"{name} {word}")
    else:
        yield name, group


COMMANDS = dict(commands(typer.main.get_command(app)))


def command_lines() -> list[tuple[str, str]]:
    """(page, line) of every command line of datassay in the code blocks of the documentation."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S):
            lines = re.findall(r"""^(?:\$ )?(datassay (?:[^"\n]|"[^"]*")*)$""", block.replace("\\\n", " "), re.M)
            found += [(page.name, line) for line in lines]
    return found


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_with_its_options(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)(?=^##)", REFERENCE.read_text("utf-8"), re.M | re.S)
    assert section is not None, f"docs/reference.md has no section `### {name}`"
    command = COMMANDS[name]
    missing = [option for option in options(command) if option.startswith("--") and f"`{option}`" not in section[1]]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_sentence_and_an_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert re.match(r"[A-Z].*\.\n", text.replace("\n\n", "\n")), text
    assert f"Example: {name}" in text


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_command_lines_of_the_documentation_exist(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
    assert name is not None, f"{page}: no such command: {line}"
    used = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert set(used) <= options(COMMANDS[name]), f"{page}: {line}"


def test_there_are_command_lines_in_the_readme() -> None:
    assert sum(page == "README.md" for page, _ in command_lines()) >= 3


def test_every_table_of_the_recipe_is_in_the_reference() -> None:
    text = REFERENCE.read_text("utf-8")
    sections = {name: field for name, field in Recipe.model_fields.items() if name not in ("name", "seed", "measure")}
    for name in sections:
        assert re.search(rf"^### \[+{name}\]+$", text, re.M), f"docs/reference.md has no section [{name}]"
