"""`.env.example` and the settings name the same variables, and only the settings read the environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.services.installation import ROOT

# Read by the compose file alone, which says so in `.env.example`.
COMPOSE_ALONE = {"POSTGRES_PASSWORD", "VLLM_IMAGE", "VLLM_MODEL"}


def variables_read() -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / "portal" / "settings.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
            and node.func.attr != "db_url_config"  # takes a URL, not a name
        ):
            assert isinstance(node.args[0], ast.Constant), ast.unparse(node)
            yield node.args[0].value


def test_every_variable_is_documented_and_none_that_is_not_read() -> None:
    documented = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) - COMPOSE_ALONE == set(variables_read())


def test_the_compose_file_asks_for_nothing_that_is_not_documented() -> None:
    documented = (ROOT / ".env.example").read_text()
    for name in re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()):
        assert re.search(rf"^# {name}=", documented, re.MULTILINE), name


def test_only_the_settings_read_the_environment() -> None:
    for module in [*(ROOT / "portal").rglob("*.py"), *(ROOT / "inference").rglob("*.py")]:
        if module.name == "settings.py":
            continue
        assert not reads_environment(ast.parse(module.read_text())), module


def reads_environment(module: ast.Module) -> bool:
    """Code that writes is none: the worker's child processes, and OpenMP before torch is loaded."""
    nodes = list(ast.walk(module))
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    items = {ast.unparse(node.value) for node in nodes if isinstance(node, ast.Subscript)}
    return bool(calls & {"os.getenv", "os.environ.get"}) or "os.environ" in items
