"""The value of one answer: for each kind of question, which ones it takes and their canonical form. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeGuard

from django.utils.translation import gettext as _

from portal.feedback.models import Question, QuestionKind
from portal.feedback.wording import wording

YES: Final = "yes"
NO: Final = "no"
MAX_CORRECTION_CHARACTERS: Final = 32_000
MAX_MARKS: Final = 50
MAX_NOTE_CHARACTERS: Final = 500
MAX_TOKEN_CHOICES: Final = 50
MAX_DECIMALS: Final = 6
# What the column holds: 20 digits, 6 of them behind the point.
LARGEST_NUMBER: Final = 10**13


class Refused(Exception):
    """One answer cannot be stored, and why."""


class _LeftOut(Exception):
    """Some of what the options list under `name` have no answer; `sentence` takes their labels."""

    def __init__(self, sentence: str, name: str, keys: Iterable[str]) -> None:
        super().__init__(sentence)
        self.sentence, self.name, self.keys = sentence, name, list(keys)

    def told_of(self, question: Question) -> str:
        labels = {choice["key"]: choice["label"] for choice in question.options[self.name]}
        return self.sentence % ", ".join(wording(question, f"{self.name}.{key}", labels[key]) for key in self.keys)


@dataclass(frozen=True, slots=True)
class JudgedText:
    """The answer that is judged as the model gave it, and its tokens as its trace has them."""

    output: str | None = None
    tokens: Sequence[Mapping[str, Any]] = ()


NO_JUDGED_TEXT: Final = JudgedText()


def checked_value(
    question: Question, value: Any, judged: JudgedText = NO_JUDGED_TEXT, *, is_half_done: bool = False
) -> Any:
    """The canonical form of a value; with `is_half_done` also of one that lacks some of what it has to name.

    Raises Refused with a sentence that names the limit.
    """
    kind = QuestionKind(question.kind)
    on_text = _CHECKS_ON_TEXT.get(kind)
    if on_text is None:
        try:
            return _CHECKS[kind](question.options, value)
        except _LeftOut as left_out:
            if is_half_done:
                return value
            raise Refused(left_out.told_of(question)) from None
    if judged.output is None:
        raise Refused(_("There is no answer of a model here that this could be about."))
    return on_text(question.options, value, judged)


def choice_keys(options: Mapping[str, Any], name: str = "choices") -> list[str]:
    return [choice["key"] for choice in options.get(name, ())]


# --- One of, several of, in which order


def _check_one_choice(options: Mapping[str, Any], value: Any) -> str:
    return _one_of(choice_keys(options), value)


def _check_yes_no(options: Mapping[str, Any], value: Any) -> str:
    return _one_of([YES, NO], value)


def _one_of(keys: list[str], value: Any) -> str:
    if not isinstance(value, str) or value not in keys:
        raise Refused(_("Must be one of: %(keys)s.") % {"keys": ", ".join(keys)})
    return value


def _check_choices(options: Mapping[str, Any], value: Any) -> list[str]:
    keys = choice_keys(options)
    if not isinstance(value, list) or not all(isinstance(each, str) and each in keys for each in value):
        raise Refused(_("Must be a list of: %(keys)s.") % {"keys": ", ".join(keys)})
    if len(set(value)) != len(value):
        raise Refused(_("Must name each choice at most once."))
    most = options.get("most")
    if most is not None and len(value) > most:
        raise Refused(_("Choose at most %(limit)d; these are %(count)d.") % {"limit": most, "count": len(value)})
    return [key for key in keys if key in value]


def _check_ranking(options: Mapping[str, Any], value: Any) -> list[list[str]]:
    """Groups from the best to the last; who shares a group is a tie."""
    keys = choice_keys(options)
    if not isinstance(value, list) or not all(isinstance(group, list) and group for group in value):
        raise Refused(_("Must be a list of groups, the best first; each group is a list of: %s.") % ", ".join(keys))
    if not value:
        return []
    ranked = [key for group in value for key in group]
    if not all(isinstance(key, str) and key in keys for key in ranked) or len(set(ranked)) < len(ranked):
        raise Refused(_("Must rank each of these once: %s.") % ", ".join(keys))
    if not options.get("ties", True) and any(len(group) > 1 for group in value):
        raise Refused(_("Must give each its own place: there are no ties here."))
    if len(ranked) < len(keys):
        without = (key for key in keys if key not in ranked)
        raise _LeftOut(_("Each of them needs a place, or none has one; these have none yet: %s."), "choices", without)
    return [[key for key in keys if key in group] for group in value]


def _check_matrix(options: Mapping[str, Any], value: Any) -> dict[str, str]:
    rows, columns = choice_keys(options, "rows"), choice_keys(options, "columns")
    if not isinstance(value, dict) or not all(row in rows for row in value):
        raise Refused(_("Must be an object with some of these rows: %s.") % ", ".join(rows))
    if not all(isinstance(column, str) and column in columns for column in value.values()):
        raise Refused(_("Each row's answer must be one of: %s.") % ", ".join(columns))
    if value and options.get("whole") and len(value) < len(rows):
        without = (row for row in rows if row not in value)
        raise _LeftOut(_("Every row needs an answer; these have none: %s."), "rows", without)
    return {row: value[row] for row in rows if row in value}


# --- Amounts and days


def _check_rating(options: Mapping[str, Any], value: Any) -> int:
    low, high = options["min"], options["max"]
    # bool is an int in Python and never meant here.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(_("Must be a whole number from %(low)d to %(high)d.") % {"low": low, "high": high})
    return value


def _check_number(options: Mapping[str, Any], value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(_("Must be a number."))
    low = options.get("min", -LARGEST_NUMBER)
    high = options.get("max", LARGEST_NUMBER)
    if not low <= value <= high:
        raise Refused(_("Must be a number from %(low)s to %(high)s.") % {"low": low, "high": high})
    decimals = options.get("decimals", 0)
    exact = Decimal(str(value))
    if exact != round(exact, decimals):
        if decimals == 0:
            raise Refused(_("Must be a whole number."))
        raise Refused(_("Must have at most %d digits behind the point.") % decimals)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _check_date(options: Mapping[str, Any], value: Any) -> str:
    day = parsed_day(value)
    if day is None:
        raise Refused(_("Must be a day like 2026-01-31."))
    low, high = options.get("min"), options.get("max")
    if low is not None and day < date.fromisoformat(low):
        raise Refused(_("Must not be before %s.") % low)
    if high is not None and day > date.fromisoformat(high):
        raise Refused(_("Must not be after %s.") % high)
    return day.isoformat()


def parsed_day(value: Any) -> date | None:
    """The day that a text of the form YYYY-MM-DD names; None for anything else."""
    if not isinstance(value, str) or len(value) != len("YYYY-MM-DD") or not value.isascii():
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


# --- Text


def _check_text(options: Mapping[str, Any], value: Any) -> str:
    return _bounded_text(value, options["max_characters"]).strip()


def _bounded_text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise Refused(_("Must be text."))
    # Forms send CRLF, and browsers count it as one character against maxlength.
    text = value.replace("\r\n", "\n")
    length = len(text.strip())
    if length > limit:
        limits = {"limit": limit, "length": length}
        raise Refused(_("Must have at most %(limit)d characters; this has %(length)d.") % limits)
    # PostgreSQL stores no NUL, and no UTF-8 encoder takes half a surrogate pair.
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(_("Must not contain NUL characters or unpaired surrogates."))
    return text


# --- On the model's answer


def _check_correction(options: Mapping[str, Any], value: Any, judged: JudgedText) -> str:
    text = _bounded_text(value, options.get("max_characters", MAX_CORRECTION_CHARACTERS))
    output = judged.output or ""
    # A form's text area gives back every line end as LF.
    if not text.strip() or text in {output, output.replace("\r\n", "\n").replace("\r", "\n")}:
        return ""
    return text


def _check_spans(options: Mapping[str, Any], value: Any, judged: JudgedText) -> list[dict[str, Any]]:
    """Marks in the order of the text. Offsets count Unicode code points of the answer as the model gave it."""
    if not isinstance(value, list) or not all(isinstance(mark, dict) for mark in value):
        raise Refused(_("Must be a list of marks: objects with start, end, label and note."))
    if len(value) > MAX_MARKS:
        raise Refused(_("At most %(limit)d marks; these are %(count)d.") % {"limit": MAX_MARKS, "count": len(value)})
    marks = [_checked_mark(options, mark, judged.output or "") for mark in value]
    unique = {(mark["start"], mark["end"], mark["label"]): mark for mark in marks}
    return sorted(unique.values(), key=lambda mark: (mark["start"], mark["end"], mark["label"]))


def _checked_mark(options: Mapping[str, Any], mark: Mapping[str, Any], output: str) -> dict[str, Any]:
    if unknown := sorted(str(key) for key in mark if key not in {"start", "end", "quote", "label", "note"}):
        raise Refused(_("A mark has no %s. It has start, end, quote, label and note.") % ", ".join(unknown)[:100])
    start, end = mark.get("start"), mark.get("end")
    if start is None and end is None:
        start, end = _place_of(mark.get("quote"), output)
    if not _is_whole(start) or not _is_whole(end) or not 0 <= start < end <= len(output):
        raise Refused(
            _("A mark's start and end must be whole numbers with 0 ≤ start < end ≤ %d, the answer's characters.")
            % len(output)
        )
    quote = output[start:end]
    if mark.get("quote", quote) != quote:
        place = {"start": start, "end": end}
        raise Refused(_("The answer's characters %(start)d to %(end)d are not the quoted text.") % place)
    label = _one_of(choice_keys(options), mark.get("label"))
    note = _bounded_text(mark.get("note", ""), MAX_NOTE_CHARACTERS).strip()
    return {"start": start, "end": end, "quote": quote, "label": label, "note": note}


def _place_of(quote: Any, output: str) -> tuple[int, int]:
    """Where words that were quoted without their place stand."""
    if not isinstance(quote, str) or not quote or (start := output.find(quote)) < 0:
        raise Refused(_("The answer does not have the quoted words: quote them exactly as they stand there."))
    if output.find(quote, start + 1) >= 0:
        raise Refused(_("The quoted words stand there more than once: quote some of the words around them too."))
    return start, start + len(quote)


def _check_tokens(options: Mapping[str, Any], value: Any, judged: JudgedText) -> list[dict[str, Any]]:
    """For some of the answer's tokens, one that the model thought of and that would have been better."""
    if not isinstance(value, list) or not all(isinstance(choice, dict) for choice in value):
        raise Refused(_("Must be a list of objects with index and alternative."))
    if len(value) > MAX_TOKEN_CHOICES:
        limits = {"limit": MAX_TOKEN_CHOICES, "count": len(value)}
        raise Refused(_("At most %(limit)d tokens; these are %(count)d.") % limits)
    chosen = [_checked_token(choice, judged.tokens) for choice in value]
    if len({choice["index"] for choice in chosen}) != len(chosen):
        raise Refused(_("Must name each token at most once."))
    return sorted(chosen, key=lambda choice: choice["index"])


def _checked_token(choice: Mapping[str, Any], tokens: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    index, alternative = choice.get("index"), choice.get("alternative")
    if not tokens:
        raise Refused(_("The tokens of this answer were not kept."))
    if not _is_whole(index) or not 0 <= index < len(tokens):
        raise Refused(_("A token's index must be a whole number from 0 to %d.") % (len(tokens) - 1))
    token = tokens[index]
    others = {other["id"]: other["text"] for other in token.get("top", ()) if other["id"] != token["id"]}
    if not _is_whole(alternative) or alternative not in others:
        ids = ", ".join(str(each) for each in others) or _("none")
        raise Refused(_("The alternatives of token %(index)d are: %(ids)s.") % {"index": index, "ids": ids})
    found = {
        "index": index,
        "token": token["id"],
        "text": token["text"],
        "alternative": alternative,
        "alternative_text": others[alternative],
    }
    if any(key in choice and choice[key] != found[key] for key in ("token", "text", "alternative_text")):
        raise Refused(_("Token %d of this answer is another one.") % index)
    return found


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKS: Final[dict[QuestionKind, Callable[[Mapping[str, Any], Any], Any]]] = {
    QuestionKind.THUMB: _check_one_choice,
    QuestionKind.YES_NO: _check_yes_no,
    QuestionKind.RATING: _check_rating,
    QuestionKind.CHOICE: _check_one_choice,
    QuestionKind.CHOICES: _check_choices,
    QuestionKind.RANKING: _check_ranking,
    QuestionKind.TEXT: _check_text,
    QuestionKind.NUMBER: _check_number,
    QuestionKind.DATE: _check_date,
    QuestionKind.MATRIX: _check_matrix,
}
_CHECKS_ON_TEXT: Final[dict[QuestionKind, Callable[[Mapping[str, Any], Any, JudgedText], Any]]] = {
    QuestionKind.SPANS: _check_spans,
    QuestionKind.CORRECTION: _check_correction,
    QuestionKind.TOKEN: _check_tokens,
}
KINDS_ON_TEXT: Final = frozenset(_CHECKS_ON_TEXT)
