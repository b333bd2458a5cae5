"""Renders a chat template with an example conversation: a program of its own, since a template may be anybody's.

The template comes in on standard input with the tokens it may name, the text goes out. It runs sandboxed, in a process
whose time and memory are bounded, so that one that loops or grows takes only itself down.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEXT_CHARACTERS: Final = 20_000
CPU_S: Final = 2
# Beyond that it is the machine that is busy, which says nothing of the template for a while.
WAIT_S: Final = 20.0
MEMORY_BYTES: Final = 512 * 2**20
EXAMPLE: Final = (
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "What is a steelyard?"},
    {"role": "assistant", "content": "A balance with one long arm."},
    {"role": "user", "content": "Who invented it?"},
)


class TemplateFailed(ValueError):
    """The template has no text for the example; the message says why in one sentence."""


def rendered_example(template: str, tokens: Mapping[str, str]) -> str:
    """The example as the template writes it, in a process of its own. Raises TemplateFailed."""
    given = json.dumps({"template": template, "tokens": dict(tokens)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "inference.template_example"],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TemplateFailed("It takes too long.") from error
    if done.returncode < 0 or not done.stdout:
        raise TemplateFailed("It takes too long, or too much memory.")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise TemplateFailed(str(answer["error"]))
    return str(answer["text"])


class _Generation(Extension):
    """The tag around what the model wrote, which changes no text."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def render(template: str, tokens: Mapping[str, str]) -> str:
    """As transformers renders. Raises jinja2's errors, and whatever a template brings about."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)  # noqa: DTZ005  as transformers
    compiled = environment.from_string(template)
    messages = [dict(message) for message in EXAMPLE]
    try:
        return compiled.render(messages=messages, add_generation_prompt=True, **tokens)
    except jinja2.TemplateError:
        # Some models know no system role.
        return compiled.render(messages=messages[1:], add_generation_prompt=True, **tokens)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    given = json.loads(sys.stdin.read())
    try:
        answer = {"text": render(given["template"], given["tokens"])[:MAX_TEXT_CHARACTERS]}
    except MemoryError:
        answer = {"error": "It takes too much memory."}
    except RecursionError:
        answer = {"error": "It calls itself without end."}
    except Exception as error:  # noqa: BLE001  a template may raise whatever Python can
        answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no reason'}"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
