"""Chat templates of anybody: rendered as transformers renders them, and stopped when they are hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from inference.template_example import EXAMPLE, TemplateFailed, render, rendered_example

PLAIN = (
    "{% for message in messages %}\n{% if loop.last %}{% generation %}{{ message['content'] | tojson }}"
    "{% endgeneration %}{% continue %}{% endif %}\n  {{ bos_token }}{{ message.role }}\n{% endfor %}"
    "{% if add_generation_prompt %}>{% endif %}"
)


@pytest.mark.parametrize("source", ["shipped", "plain"])
def test_the_example_is_what_transformers_renders(source: str, prepared_weights: Path) -> None:
    template = (prepared_weights / "chat_template.jinja").read_text() if source == "shipped" else PLAIN
    messages = [dict(message) for message in EXAMPLE]
    theirs, _indices = render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=True, bos_token="<s>"
    )
    assert rendered_example(template, {"bos_token": "<s>"}) == theirs[0]


def test_a_template_that_knows_no_system_role_gets_none() -> None:
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages | length }}"
    )
    assert render(template, {}) == "3"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "too long"),
        ("{{ 'a' * 10**10 }}", "too much memory"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
        ("{{ raise_exception('only for tools') }}", "only for tools"),
        ("{% for", "TemplateSyntaxError"),
        ("{% include '/etc/passwd' %}", "Error"),
    ],
)
def test_a_hostile_template_takes_only_itself_down(template: str, reason: str) -> None:
    with pytest.raises(TemplateFailed, match=reason):
        rendered_example(template, {})
