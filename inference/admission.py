"""What a request must fulfil before it waits for a slot; each refusal says what and why."""

from __future__ import annotations

from collections.abc import Sequence

from inference.chat_prompt import Prompt, PromptRefused, PromptRenderer
from inference.engine import GenerationRequest
from inference.events import FailureCode
from inference.loaded_model import LoadedModel


def given_tokens(request: GenerationRequest, renderer: PromptRenderer, vocabulary_size: int) -> tuple[int, ...]:
    """The tokens that the answer begins with. Raises PromptRefused."""
    prefix = request.answer_prefix
    if isinstance(prefix, str):
        return renderer.beginning_tokens(prefix, request) if prefix else ()
    _require_in_vocabulary("answer_prefix", prefix, vocabulary_size)
    return prefix


def require_biased_tokens(request: GenerationRequest, vocabulary_size: int) -> None:
    """Raises PromptRefused for a bias of a token that there is none of."""
    _require_in_vocabulary("logit_bias", tuple(request.params.logit_bias), vocabulary_size)


def _require_in_vocabulary(field: str, token_ids: Sequence[int], size: int) -> None:
    for token_id in token_ids:
        if isinstance(token_id, bool) or not isinstance(token_id, int) or not 0 <= token_id < size:
            raise PromptRefused(
                FailureCode.UNSUPPORTED, f"{field}: token {token_id} is not in the vocabulary of {size}."
            )


def require_runnable(model: LoadedModel, request: GenerationRequest, prompt: Prompt, given: tuple[int, ...]) -> None:
    """Raises PromptRefused for what this model, its adapters, its context or the server's memory cannot take."""
    if request.adapter is not None and request.adapter not in model.adapters:
        raise PromptRefused(FailureCode.UNSUPPORTED, f"adapter: {model.name} has none called {request.adapter}.")
    _require_room(model, request, len(prompt.token_ids), len(given))
    require_biased_tokens(request, model.vocabulary_size)


def _require_room(model: LoadedModel, request: GenerationRequest, prompt_tokens: int, given: int) -> None:
    # A measured text needs no room for an answer.
    spare = 0 if request.score else 1
    length = prompt_tokens + given
    begun = f" and the beginning of the answer {given}" if given else ""
    if length + spare > model.context_length:
        raise PromptRefused(
            FailureCode.CONTEXT_EXCEEDED,
            f"The prompt has {prompt_tokens} tokens{begun}, and {model.name} reads at most "
            f"{model.context_length - spare}, answer excluded.",
        )
    if not model.slots.fits(length + spare):
        raise PromptRefused(
            FailureCode.OUT_OF_MEMORY,
            f"The prompt has {prompt_tokens} tokens{begun}; this server's memory holds {model.slots.longest - spare} "
            "at most.",
        )
