"""`/v1` as OpenAI's own package meets it: a real web process, a real worker, real connections that break."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import openai
import pytest
from huggingface_hub import InferenceClient
from openai import AsyncOpenAI, OpenAI

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.models import Variant
from portal.feedback.models import Submission
from portal.playground.models import Generation, Kind, State
from tests.processes.scripted_backend import counted
from tests.processes.web_process import WebProcess
from tests.processes.worker_process import WorkerProcess
from tests.services.installation import eventually

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

MODEL = "tests/counting:scripted"
StartWeb = Callable[..., WebProcess]
StartWorker = Callable[..., WorkerProcess]


def count_to(number: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"count to {number}"}], "max_tokens": 2000}


@pytest.fixture(autouse=True)
def _served(variant: Variant) -> None:
    """The scripted variant is there before any process starts."""


@pytest.fixture
def secret(transactional_db: None, alice: User) -> str:
    return create_token(alice, name="test", scopes=[Scope.READ, Scope.SUBMIT], lifetime=None)[1]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def state_of(run_id: str) -> str:
    return Generation.objects.get(pk=uuid.UUID(run_id.rpartition("cmpl-")[2])).state


@pytest.mark.contract
def test_openais_own_clients_synchronous_and_asynchronous(
    start_web: StartWeb, start_worker: StartWorker, secret: str, alice: User
) -> None:
    web = start_web()
    start_worker()
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0)

    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "tests"

    whole = client.chat.completions.create(**count_to(20), logprobs=True)
    assert whole.choices[0].message.content == counted(20)
    assert whole.choices[0].finish_reason == "stop"
    assert whole.choices[0].logprobs is not None
    assert [token.logprob for token in whole.choices[0].logprobs.content or []] == [-0.5] * 20
    assert whole.usage is not None
    assert (whole.usage.completion_tokens, whole.usage.total_tokens) == (20, whole.usage.prompt_tokens + 20)

    cut = client.chat.completions.create(**{**count_to(20), "max_tokens": 5}, extra_body={"min_tokens": 5, "top_k": 3})
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == (counted(5), "length")

    chunks = list(
        client.chat.completions.create(
            **count_to(30), stream=True, stream_options={"include_usage": True}, logprobs=True, top_logprobs=0
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == counted(30)
    tokens = [
        token
        for chunk in chunks
        if chunk.choices and (found := chunk.choices[0].logprobs)
        for token in found.content or []
    ]
    assert [token.token for token in tokens] == [f"{each} " for each in range(1, 31)]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30

    plain = client.completions.create(model=MODEL, prompt="count to 20", logprobs=2, max_tokens=2000)
    assert (plain.choices[0].text, plain.choices[0].finish_reason) == (counted(20), "stop")
    assert plain.usage is not None
    assert plain.usage.completion_tokens == 20
    told = plain.choices[0].logprobs
    assert told is not None
    assert told.tokens == [f"{each} " for each in range(1, 21)]
    assert told.token_logprobs == [-0.5] * 20
    # The prompt has eleven characters.
    assert (told.text_offset or [])[:3] == [11, 13, 15]
    assert Generation.objects.get(pk=plain.id.removeprefix("cmpl-")).kind == Kind.COMPLETION

    parts = list(
        client.completions.create(
            model=MODEL, prompt="count to 12", stream=True, stream_options={"include_usage": True}, logprobs=0
        )
    )
    assert "".join(part.choices[0].text for part in parts if part.choices) == counted(12)
    offsets = [at for part in parts if part.choices and (of := part.choices[0].logprobs) for at in of.text_offset or []]
    assert offsets == [11 + len(counted(each)) for each in range(12)]
    assert (parts[-2].choices[0].finish_reason, parts[-1].choices) == ("stop", [])
    assert parts[-1].usage is not None

    _thinking(client)
    _several(client)
    _independent(f"{web.url}/v1", secret)
    generation = Generation.objects.get(pk=chunks[0].id.removeprefix("chatcmpl-"))
    assert (generation.state, generation.output, generation.conversation.owner) == (State.SUCCEEDED, counted(30), alice)

    rated = urllib.request.Request(
        f"{web.url}/api/v1/feedback/",
        json.dumps({"generation": whole.id.removeprefix("chatcmpl-"), "answers": {"thumb": "up"}}).encode(),
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(rated) as response:
        assert response.status == 201
    assert Submission.objects.get().generation_id == uuid.UUID(whole.id.removeprefix("chatcmpl-"))

    _asynchronously(f"{web.url}/v1", secret)


def _independent(address: str, secret: str) -> None:
    """huggingface_hub's client, which is nobody's of OpenAI: transformers' own chat is built on it."""
    client = InferenceClient(base_url=address, api_key=secret)
    asked = {name: value for name, value in count_to(12).items() if name != "model"}
    whole = client.chat_completion(**asked, model=MODEL, logprobs=True, top_logprobs=1)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (counted(12), "stop")
    assert len(whole.choices[0].logprobs.content) == whole.usage.completion_tokens == 12
    parts = list(client.chat_completion(**asked, model=MODEL, stream=True, stream_options={"include_usage": True}))
    assert "".join(each.choices[0].delta.content or "" for each in parts if each.choices) == counted(12)
    assert parts[-1].usage.completion_tokens == 12


def _thinking(client: OpenAI) -> None:
    """What was thought is told beside the answer, and its tokens are counted apart in the answer's."""
    asked: dict[str, Any] = {
        "model": MODEL, "messages": [{"role": "user", "content": "think 3 and count to 5"}], "max_tokens": 2000,
    }  # fmt: skip
    usages = []
    for choices in (1, 2):
        whole = client.chat.completions.create(**asked, n=choices)
        assert whole.choices[0].message.content == counted(5)
        assert whole.choices[0].message.reasoning_content == "hm hm hm "  # type: ignore[attr-defined]
        *_chunks, last = client.chat.completions.create(
            **asked, n=choices, stream=True, stream_options={"include_usage": True}
        )
        usages += [whole.usage, last.usage]
    plain = client.completions.create(model=MODEL, prompt="think 3 and count to 5")
    details = [each.completion_tokens_details for each in (*usages, plain.usage) if each is not None]
    assert [each.reasoning_tokens for each in details if each is not None] == [3, 3, 6, 6, 3]
    assert [each.completion_tokens for each in usages if each is not None] == [8, 8, 16, 16]
    none = client.chat.completions.create(**count_to(2)).usage
    assert none is not None
    assert none.completion_tokens_details is not None
    assert none.completion_tokens_details.reasoning_tokens == 0


def _several(client: OpenAI) -> None:
    """Each choice is a run of its own, with a seed that follows from the one that was given."""
    whole = client.chat.completions.create(**count_to(9), n=3, seed=5)
    assert [(each.index, each.message.content) for each in whole.choices] == [(at, counted(9)) for at in range(3)]
    runs = [Generation.objects.get(pk=each.run_id) for each in whole.choices]  # type: ignore[attr-defined]
    assert whole.id == f"chatcmpl-{runs[0].pk.hex}"
    seeds = [each.params["seed"] for each in runs]
    assert (seeds[0], len(set(seeds))) == (5, 3)
    assert whole.usage is not None
    assert (whole.usage.completion_tokens, whole.usage.prompt_tokens) == (27, 3)

    texts = ["", ""]
    usages = []
    for chunk in client.completions.create(
        model=MODEL, prompt="count to 11", n=2, stream=True, stream_options={"include_usage": True}
    ):
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [counted(11)] * 2
    assert [usage.completion_tokens for usage in usages] == [22]


def _asynchronously(url: str, secret: str) -> None:
    async def ask_at_once() -> tuple[list[str], Any]:
        async with AsyncOpenAI(base_url=url, api_key=secret, max_retries=0) as client:

            async def streamed(number: int) -> str:
                chunks = await client.chat.completions.create(**count_to(number), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

            answers = await asyncio.gather(*(streamed(number) for number in (10, 20, 30)))
            whole = await client.chat.completions.create(**count_to(5))
            parts = await client.completions.create(model=MODEL, prompt="count to 7", stream=True)
            answers.append("".join([part.choices[0].text async for part in parts]))
            plain = await client.completions.create(model=MODEL, prompt="count to 6")
            answers.append(plain.choices[0].text)
            several = ["", "", ""]
            ended = []
            async for chunk in await client.chat.completions.create(**count_to(8), n=3, stream=True):
                for choice in chunk.choices:
                    several[choice.index] += choice.delta.content or ""
                    ended += [choice.index] if choice.finish_reason else []
            assert sorted(ended) == [0, 1, 2]
            answers += several
            return answers, whole.choices[0].message.content

    assert asyncio.run(ask_at_once()) == ([counted(each) for each in (10, 20, 30, 7, 6, 8, 8, 8)], counted(5))


def test_the_clients_own_error_classes(start_web: StartWeb, start_worker: StartWorker, secret: str) -> None:
    web = start_web(GENERATION_RATE="2/minute")
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="unknown or was revoked"):
        OpenAI(base_url=f"{web.url}/v1", api_key="sy_wrong", max_retries=0).models.list()
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**{**count_to(5), "model": "no/such"})
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="one text"):
        client.completions.create(model=MODEL, prompt=["Once", "Twice"])
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**count_to(5), n=9)
    assert refused.value.param == "n"

    start_worker()
    sing = {"model": MODEL, "messages": [{"role": "user", "content": "sing"}]}
    with pytest.raises(openai.BadRequestError, match="can only count") as failed:
        client.chat.completions.create(**sing)
    assert failed.value.code == "unsupported"
    with pytest.raises(openai.APIError, match="can only count"):
        list(client.chat.completions.create(**sing, stream=True))
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(**count_to(5))
    assert int(limited.value.response.headers["Retry-After"]) > 0


def test_a_client_that_disconnects_stops_its_run(start_web: StartWeb, start_worker: StartWorker, secret: str) -> None:
    web = start_web()
    client = OpenAI(base_url=f"{web.url}/v1", api_key=secret, max_retries=0)

    # Still queued, and nothing to read yet but a status.
    with client.chat.completions.create(**count_to(2000), stream=True):
        queued = Generation.objects.get()
    eventually(lambda: state_of(str(queued.pk)) == State.CANCELLED, 30, "the queued run is stopped")
    assert Generation.objects.get().attempt == 0

    start_worker()
    with client.chat.completions.create(**count_to(2000), stream=True) as chunks:
        seen = [next(chunks) for _ in range(10)]
    eventually(lambda: state_of(seen[0].id) == State.CANCELLED, 30, "the streaming run is stopped")
    assert len(Generation.objects.get(pk=seen[0].id.removeprefix("chatcmpl-")).output) < len(counted(2000))

    with client.completions.create(model=MODEL, prompt="count to 2000", max_tokens=2000, stream=True) as parts:
        part = next(iter(parts))
    eventually(lambda: state_of(part.id) == State.CANCELLED, 30, "the streaming completion is stopped")

    with client.chat.completions.create(**count_to(2000), n=3, stream=True) as chunks:
        runs = {next(chunks).choices[0].run_id for _ in range(30)}  # type: ignore[attr-defined]
    assert len(runs) == 3
    for each in runs:
        eventually(lambda each=each: state_of(each) == State.CANCELLED, 30, "each choice's run is stopped")

    earlier = set(Generation.objects.values_list("pk", flat=True))
    asked = http.client.HTTPConnection(web.url.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    asked.request("POST", "/v1/chat/completions", json.dumps(count_to(2000)), headers)
    waiting = eventually(Generation.objects.exclude(pk__in=earlier).first, 60, "a run whose client waits for the whole")
    asked.close()
    eventually(lambda: state_of(str(waiting.pk)) == State.CANCELLED, 30, "the run of who waited is stopped")

    _a_run_stopped_elsewhere_is_told_to_its_client(client)
    assert "Traceback" not in web.log.read_text()


def _a_run_stopped_elsewhere_is_told_to_its_client(client: OpenAI) -> None:
    with client.chat.completions.create(**count_to(2000), stream=True) as chunks:
        run = Generation.objects.get(pk=next(chunks).id.removeprefix("chatcmpl-"))
        run.request_cancel()
        with pytest.raises(openai.APIError, match="stopped before"):
            list(chunks)
