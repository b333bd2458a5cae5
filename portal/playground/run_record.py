"""A run as a record that can be kept, cited and repeated: one mapping, as JSON, as plain text, and as BibTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from portal.playground.models import Conversation, Generation

RECORD_VERSION: Final = 2
_BIBTEX_SPECIAL: Final = re.compile(r"[&%$#_{}~^\\]")
_BIBTEX_ESCAPES: Final = {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}


def run_record(run: Generation) -> dict[str, Any]:
    """Everything that is needed to repeat a run, and what came of it. Names nobody."""
    return {
        "record": "steelyard-run",
        "record_version": RECORD_VERSION,
        "id": str(run.pk),
        "kind": run.kind,
        "model": run.variant.model_id,
        "state": run.state,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "messages": run.messages,
        "rendered_prompt": run.rendered_prompt,
        "given_beginning": run.opening,
        "parameters": run.params,
        "repeatable": run.is_repeatable,
        "thinking": run.thinking,
        "output": run.output,
        "finish_reason": run.finish_reason,
        "error": {"code": run.error_code, "message": run.error_message} if run.error_code else None,
        "usage": run.usage,
        "timings": run.timings,
        "provenance": run.provenance,
    }


def record_as_json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def record_as_text(record: Mapping[str, Any]) -> str:
    """The same for reading and for mail."""
    lines = [f"Steelyard run {record['id']}", ""]
    lines += [f"{name}: {record[name]}" for name in ("model", "kind", "state", "created_at", "finish_reason")]
    for title in ("parameters", "usage", "timings", "provenance"):
        lines += ["", f"{title}:", *_flat(record[title])]
    for message in record["messages"]:
        lines += ["", f"--- {message['role']} ---", message["content"]]
    if record["given_beginning"]:
        lines += ["", "--- given beginning ---", "".join(each["text"] for each in record["given_beginning"])]
    for title in ("rendered_prompt", "thinking", "output"):
        if record[title]:
            lines += ["", f"--- {title.replace('_', ' ')} ---", record[title]]
    return "\n".join(lines) + "\n"


def _flat(values: Mapping[str, Any], before: str = "  ") -> list[str]:
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{before}{name}:", *_flat(value, before + "  ")]
        else:
            lines.append(f"{before}{name}: {json.dumps(value, ensure_ascii=False)}")
    return lines


def record_as_bibtex(record: Mapping[str, Any], url: str) -> str:
    """A citation of the run; `url` is its link."""
    created = record["created_at"]
    fields = {
        "title": f"Answer of {record['model']}, run {record['id']}",
        "howpublished": "Steelyard",
        "year": created[:4],
        "month": str(int(created[5:7])),
        "note": f"Seed {record['parameters'].get('seed')}, {created}",
    }
    lines = [f"  {name} = {{{_bibtex(value)}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{steelyard-{record['id'][:8]},", *lines, f"  url = {{{url}}}", "}", ""])


def _bibtex(text: str) -> str:
    return _BIBTEX_SPECIAL.sub(lambda found: _BIBTEX_ESCAPES.get(found[0], f"\\{found[0]}"), text)


def conversation_record(conversation: Conversation) -> dict[str, Any]:
    """A conversation with all its branches: each turn names the one that it follows."""
    turns = conversation.generations.select_related("variant__card").order_by("created_at", "id")
    return {
        "record": "steelyard-conversation",
        "record_version": RECORD_VERSION,
        "id": str(conversation.pk),
        "title": conversation.title,
        "system_prompt": conversation.system_prompt,
        "created_at": conversation.created_at.isoformat(),
        "turns": [
            {"follows": str(turn.parent_id) if turn.parent_id else None, "prompt": turn.prompt, **run_record(turn)}
            for turn in turns
        ],
    }


def branch_as_markdown(conversation: Conversation, turns: list[Generation]) -> str:
    """One branch for reading elsewhere. Prompts are quoted, so that they cannot pass for answers."""
    parts = [f"# {' '.join(str(conversation).split())}"]
    if conversation.system_prompt:
        parts += ["**System prompt**", _quoted(conversation.system_prompt)]
    for turn in turns:
        parts += ["## Prompt", _quoted(turn.prompt), f"## {turn.variant.model_id}", turn.output or f"*({turn.state})*"]
        when = turn.created_at.isoformat(timespec="seconds")
        parts.append(f"*Run {turn.pk}, seed {turn.params.get('seed')}, {when}*")
    return "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
