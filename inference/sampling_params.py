"""How the next token is chosen: one frozen value per request, refused by field name when out of range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from typing import Any, Final, Self

MAX_STOP_STRINGS: Final = 8
MAX_STOP_STRING_CHARACTERS: Final = 100
MAX_TOP_LOGPROBS: Final = 20
MAX_LOGIT_BIAS_ENTRIES: Final = 300
MAX_NEW_TOKENS: Final = 32_768
MAX_SEED: Final = 2**63 - 1
MAX_TEMPERATURE: Final = 2
MAX_UNKNOWN_TOLD: Final = 20
MAX_UNKNOWN_CHARACTERS: Final = 80


class InvalidParameter(ValueError):
    """A sampling parameter is out of range or unknown.

    `field` is the parameter's name, `limit` says in words what would be valid.
    """

    def __init__(self, field: str, limit: str) -> None:
        super().__init__(f"{field}: {limit}")
        self.field = field
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """The sampling parameters of one request.

    temperature: 0 is greedy; otherwise logits are divided by it. In [0, 2].
    top_p: keep the smallest set of tokens whose probability reaches it. In (0, 1].
    top_k: keep the k most probable tokens; 0 keeps all.
    min_p: drop tokens less probable than `min_p` times the most probable one. In [0, 1].
    repetition_penalty: divides (multiplies) the positive (negative) logits of tokens in prompt and output (Keskar et
        al. 2019). In (0, 2]; 1 is off.
    presence_penalty, frequency_penalty: OpenAI's penalties, over output tokens only. In [-2, 2].
    max_tokens, min_tokens: bounds on the number of new tokens.
    seed: makes the run repeatable; None lets the caller choose none.
    stop: strings that end the answer and are not shown.
    logit_bias: token id → added to its logit, each in [-100, 100].
    top_logprobs: how many alternatives to report for each token, 0 to 20.

    Raises InvalidParameter, naming the field and the limit.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    max_tokens: int = 256
    min_tokens: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        _require_number("temperature", self.temperature, 0, MAX_TEMPERATURE)
        _require_number("top_p", self.top_p, 0, 1, above_low=True)
        _require_integer("top_k", self.top_k, 0, 1_000_000)
        _require_number("min_p", self.min_p, 0, 1)
        _require_number("repetition_penalty", self.repetition_penalty, 0, 2, above_low=True)
        _require_number("presence_penalty", self.presence_penalty, -2, 2)
        _require_number("frequency_penalty", self.frequency_penalty, -2, 2)
        _require_integer("max_tokens", self.max_tokens, 1, MAX_NEW_TOKENS)
        _require_integer("min_tokens", self.min_tokens, 0, MAX_NEW_TOKENS)
        _require_integer("top_logprobs", self.top_logprobs, 0, MAX_TOP_LOGPROBS)
        if self.min_tokens > self.max_tokens:
            raise InvalidParameter("min_tokens", f"must not exceed max_tokens ({self.max_tokens})")
        if self.seed is not None:
            _require_integer("seed", self.seed, 0, MAX_SEED)
        self._require_stop()
        self._require_logit_bias()

    def _require_stop(self) -> None:
        if not isinstance(self.stop, tuple) or not all(isinstance(text, str) for text in self.stop):
            raise InvalidParameter("stop", "must be a list of strings")
        if len(self.stop) > MAX_STOP_STRINGS:
            raise InvalidParameter("stop", f"must hold at most {MAX_STOP_STRINGS} strings")
        for text in self.stop:
            if not 0 < len(text) <= MAX_STOP_STRING_CHARACTERS:
                raise InvalidParameter("stop", f"each string must have 1 to {MAX_STOP_STRING_CHARACTERS} characters")
            if "\x00" in text:
                raise InvalidParameter("stop", "null characters are not allowed")

    def _require_logit_bias(self) -> None:
        if len(self.logit_bias) > MAX_LOGIT_BIAS_ENTRIES:
            raise InvalidParameter("logit_bias", f"must hold at most {MAX_LOGIT_BIAS_ENTRIES} tokens")
        for token_id, bias in self.logit_bias.items():
            _require_integer("logit_bias", token_id, 0, 2**31)
            _require_number("logit_bias", bias, -100, 100)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from a decoded JSON object; unknown names are refused, absent ones take their default."""
        known = {each.name for each in fields(cls)}
        for name in values:
            if name not in known:
                raise InvalidParameter(str(name), "is not a sampling parameter")
        accepted = dict(values)
        if isinstance(accepted.get("stop"), list):
            accepted["stop"] = tuple(accepted["stop"])
        if "logit_bias" in accepted:
            accepted["logit_bias"] = _token_ids_as_integers(accepted["logit_bias"])
        return cls(**accepted)

    def as_mapping(self) -> dict[str, Any]:
        """The JSON form that `from_mapping` reads back to an equal value."""
        values = asdict(self)
        values["stop"] = list(self.stop)
        values["logit_bias"] = {str(token_id): bias for token_id, bias in self.logit_bias.items()}
        return values


def find_invalid(values: Mapping[str, Any], most_tokens: int = MAX_NEW_TOKENS) -> list[InvalidParameter]:
    """All that `SamplingParams.from_mapping` would refuse, one by one, instead of the first; empty when it accepts.

    `max_tokens` above `most_tokens` is refused as well. Of names that are no parameters a few are told: a body may hold
    a hundred thousand.
    """
    known = {each.name for each in fields(SamplingParams)}
    # Only min_tokens depends on another, and may stand here without it.
    roomy = {"max_tokens": MAX_NEW_TOKENS}
    try:
        accepted = SamplingParams.from_mapping(roomy | dict(values))
    except InvalidParameter:
        pass
    else:
        if "max_tokens" not in values or accepted.max_tokens <= most_tokens:
            return []
    wrong: dict[str, InvalidParameter] = {}
    unknown = islice((name for name in values if name not in known), MAX_UNKNOWN_TOLD)
    for name in unknown:
        wrong[name] = InvalidParameter(str(name)[:MAX_UNKNOWN_CHARACTERS], "is not a sampling parameter")
    given = {name: value for name, value in values.items() if name in known}
    for name, value in given.items():
        try:
            if name == "max_tokens":
                # Before the limit of all engines, which would be followed in vain.
                _require_integer(name, value, 1, most_tokens)
            SamplingParams.from_mapping(roomy | {name: value})
        except InvalidParameter as error:
            wrong[name] = error
    try:
        SamplingParams.from_mapping(roomy | {name: value for name, value in given.items() if name not in wrong})
    except InvalidParameter as error:
        wrong[error.field] = error
    return list(wrong.values())


def _token_ids_as_integers(logit_bias: Any) -> dict[int, float]:
    # JSON object keys are always strings.
    if not isinstance(logit_bias, Mapping):
        raise InvalidParameter("logit_bias", "must be an object of token id to number")
    try:
        return {int(token_id): bias for token_id, bias in logit_bias.items()}
    except (TypeError, ValueError):
        raise InvalidParameter("logit_bias", "keys must be token ids") from None


def _require_number(name: str, value: object, low: float, high: float, *, above_low: bool = False) -> None:
    low_words = f"above {low}" if above_low else f"at least {low}"
    # `not low <= value` also refuses NaN; bool is an int in Python and never meant here.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not low <= value <= high
        or (above_low and value == low)
    ):
        raise InvalidParameter(name, f"must be a number {low_words} and at most {high}")


def _require_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidParameter(name, f"must be a whole number from {low} to {high}")
