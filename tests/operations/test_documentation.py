"""What the guides name exists: make targets, commands, variables, files, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from portal.operations.programs import commands
from tests.services.installation import ROOT

GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def written_as_code(guide: Path) -> str:
    """The code spans and blocks of a guide."""
    text = guide.read_text()
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return "\n".join([*blocks, *spans])


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_each_make_target_exists(guide: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z][\w-]*)", written_as_code(guide), re.MULTILINE)) <= targets


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_each_management_command_and_its_options_exist(guide: Path) -> None:
    known = get_commands()
    for name, rest in re.findall(r"manage\.py ([a-z_]+)([^\n]*)", written_as_code(guide)):
        command = known[name] if isinstance(known.get(name), str) else None
        parser = load_command_class(command or "django.core", name).create_parser("manage.py", name)
        options = {option for action in parser._actions for option in action.option_strings}
        assert set(re.findall(r"(--[a-z-]+)", rest)) <= options, f"{name}{rest}"
        if name == "run":
            assert rest.split()[0] in {*commands(), "web|worker|beat"}


def test_each_variable_in_the_operating_guide_is_documented() -> None:
    documented = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b", written_as_code(ROOT / "docs" / "operating.md")))
    assert used <= documented


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_each_relative_link_leads_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", guide.read_text()):
        assert (guide.parent / target).exists(), target
