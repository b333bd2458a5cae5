"""Reads a card in Hugging Face form (YAML front matter, then Markdown) that may come from anybody.

Pure: text comes in, metadata and body come out, and whatever is wrong is a sentence with its field and line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portal.catalog.card_fields import field_problems

MAX_BYTES: Final = 1_000_000
MAX_FRONT_MATTER_BYTES: Final = 200_000
MAX_DEPTH: Final = 20
MAX_KEY_CHARACTERS: Final = 200
MAX_PROBLEMS: Final = 10

# The same rule as huggingface_hub's, so that a card has the same metadata and body here and there; and, after it, the
# empty front matter.
_FRONT_MATTER: Final = re.compile(r"\A(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z))")
_EMPTY_FRONT_MATTER: Final = re.compile(r"\A\s*---(?:\r\n|\r|\n)---[ \t]*(?:\r\n|\n|\Z)")
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as it was written. `text` is the whole, byte for byte; `metadata` holds JSON values alone."""

    text: str
    metadata: dict[str, Any]
    body: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse_card(source: str | bytes) -> CardText:
    """Read a card. Raises ValidationError({"text": …}) that names the field, the line and what would be valid."""
    text = _decoded(source)
    if empty := _EMPTY_FRONT_MATTER.match(text):
        return CardText(text, {}, text[empty.end() :])
    found = _FRONT_MATTER.match(text)
    if found is None:
        opening = text.lstrip().split(maxsplit=1)[:1]
        if opening == ["---"]:
            line = _line(text, text.index("---"))
            raise _invalid(_("Line %(line)s: the front matter opened by --- has no closing line ---.") % {"line": line})
        return CardText(text, {}, text)
    metadata = _front_matter(found[2], _line(text, found.start(2)))
    return CardText(text, metadata, text[found.end() :])


def _line(text: str, position: int) -> int:
    """The number, from 1, of the line that holds this position."""
    return len(_LINE_BREAK.findall(text, 0, position)) + 1


def _invalid(message: str) -> ValidationError:
    return ValidationError({"text": [message]})


def _decoded(source: str | bytes) -> str:
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _invalid(
            _("The card has %(size)s bytes; at most %(limit)s are allowed.")
            % {
                "size": f"{size:,}",
                "limit": f"{MAX_BYTES:,}",
            }
        )
    if isinstance(source, bytes):
        try:
            text = source.decode("utf-8")
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            raise _invalid(
                _("Line %(line)s: byte 0x%(byte)s is not UTF-8. Save the card as UTF-8.")
                % {"line": line, "byte": f"{source[error.start]:02x}"}
            ) from error
    else:
        text = source
    if text.startswith("\ufeff"):
        raise _invalid(_("Line 1: the card begins with a byte-order mark. Save it as UTF-8 without one."))
    if forbidden := _FORBIDDEN.search(text):
        line = _line(text, forbidden.start())
        raise _invalid(
            _("Line %(line)s: the control character U+%(code)s is not allowed.")
            % {"line": line, "code": f"{ord(forbidden[0]):04X}"}
        )
    return text


# --- Front matter


def _front_matter(source: str, first_line: int) -> dict[str, Any]:
    """The mapping of the front matter; lines in errors are those of the whole card."""
    if len(source.encode()) > MAX_FRONT_MATTER_BYTES:
        raise _invalid(_("The front matter is longer than %(limit)s bytes.") % {"limit": f"{MAX_FRONT_MATTER_BYTES:,}"})
    try:
        _refuse_aliases_and_depth(source, first_line)
        node = yaml.compose(source, Loader=yaml.SafeLoader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            line = first_line + node.start_mark.line
            raise _invalid(
                _("Line %(line)s: the front matter must be a mapping of fields, such as “license: apache-2.0”.")
                % {"line": line}
            )
        reader = _Reader(first_line)
        value = reader.value(node, "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        problem = error.problem or error.context or ""
        raise _invalid(_("Line %(line)s: not valid YAML: %(problem)s.") % {"line": line, "problem": problem}) from error
    except yaml.reader.ReaderError as error:
        line = first_line + _line(source, error.position) - 1
        raise _invalid(
            _("Line %(line)s: the character U+%(code)s is not allowed in front matter.")
            % {"line": line, "code": f"{error.character:04X}"}
        ) from error
    assert isinstance(value, dict)
    problems = [
        _("Line %(line)s: %(field)s: %(message)s") % {"line": reader.line(field), "field": field, "message": message}
        for field, message in field_problems(value)
    ]
    if problems:
        raise ValidationError({"text": problems[:MAX_PROBLEMS]})
    return value


def _refuse_aliases_and_depth(source: str, first_line: int) -> None:
    """Looks at the events, before any tree is built: an alias can make a few bytes into gigabytes."""
    depth = 0
    for event in yaml.parse(source, Loader=yaml.SafeLoader):
        line = first_line + (event.start_mark.line if event.start_mark else 0)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _invalid(
                _("Line %(line)s: anchors (&) and aliases (*) are not allowed; write the value out.") % {"line": line}
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _invalid(
                    _("Line %(line)s: values are nested more than %(limit)s deep.") % {"line": line, "limit": MAX_DEPTH}
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


_CONSTRUCTOR: Final = yaml.SafeLoader("")


class _Reader:
    """Turns nodes into values that JSON can hold, and remembers the line of each field."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._lines: dict[str, int] = {}

    def line(self, field: str) -> int:
        return self._lines.get(field, self._first_line)

    def value(self, node: yaml.Node, path: str) -> Any:
        """A node's value. Dates become ISO text; what JSON has no form for is refused by field and line."""
        self._lines[path] = self._first_line + node.start_mark.line
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        try:
            value = _SCALARS[node.tag](node)  # type: ignore[arg-type]  # other nodes have no tag of these
        except (KeyError, ValueError, OverflowError, yaml.YAMLError) as error:
            raise self._refuse(node, path) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise self._at(node, _("%(field)s: the number must be finite.") % {"field": path})
        if isinstance(value, str) and (forbidden := _FORBIDDEN.search(value)):
            values = {"field": path, "code": f"{ord(forbidden[0]):04X}"}
            raise self._at(node, _("%(field)s: the character U+%(code)s is not allowed.") % values)
        return value

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            field = f"{path}.{key}" if path else key
            if key in result:
                raise self._at(key_node, _("%(field)s: the field is given twice.") % {"field": field})
            result[key] = self.value(value_node, field)
            self._lines[field] = self._first_line + key_node.start_mark.line
        return result

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or len(node.value) > MAX_KEY_CHARACTERS:
            message = _("a field's name must be text of at most %(limit)s characters.")
            raise self._at(node, message % {"limit": MAX_KEY_CHARACTERS})
        if node.tag == "tag:yaml.org,2002:merge":
            raise self._at(node, _("merging fields by << is not allowed; write them out."))
        # "on" and "no" are names of fields here, not truth values, and numbers are kept as they were written.
        key: str = node.value
        if _FORBIDDEN.search(key):
            raise self._at(node, _("a field's name holds a control character."))
        return key

    def _refuse(self, node: yaml.Node, path: str) -> ValidationError:
        message = _("%(field)s: a value of type %(tag)s cannot be kept; write it as text in quotes.")
        return self._at(node, message % {"field": path or "---", "tag": node.tag.rpartition(":")[2]})

    def _at(self, node: yaml.Node, message: str) -> ValidationError:
        line = self._first_line + node.start_mark.line
        return _invalid(_("Line %(line)s: %(message)s") % {"line": line, "message": message})


def _date(node: yaml.ScalarNode) -> str:
    value = _CONSTRUCTOR.construct_yaml_timestamp(node)
    assert isinstance(value, dt.date)
    return value.isoformat()


_SCALARS: Final[dict[str, Callable[[yaml.ScalarNode], Any]]] = {
    "tag:yaml.org,2002:null": _CONSTRUCTOR.construct_yaml_null,
    "tag:yaml.org,2002:bool": _CONSTRUCTOR.construct_yaml_bool,
    "tag:yaml.org,2002:int": _CONSTRUCTOR.construct_yaml_int,
    "tag:yaml.org,2002:float": _CONSTRUCTOR.construct_yaml_float,
    "tag:yaml.org,2002:timestamp": _date,
    "tag:yaml.org,2002:str": _CONSTRUCTOR.construct_yaml_str,
}
