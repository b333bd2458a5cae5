"""`manage.py import_model org/name`, against a local stand-in that speaks a hub's endpoints: no real hub is asked."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from huggingface_hub import snapshot_download
from safetensors.numpy import save_file

from portal.catalog.hub_source import HubSource
from portal.catalog.importing_hub import import_from_hub
from portal.catalog.models import ModelCard, Variant
from tests.catalog.shelf import CARD_TEXT, write_gguf, write_weights
from tests.catalog.test_card_sections_view import PIXEL
from tests.services.hub import StandInHub, stand_in_hub

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[StandInHub]:
    with stand_in_hub() as hub:
        yield hub


@pytest.fixture
def hub(server: StandInHub, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandInHub:
    for part in (server.revisions, server.commits, server.gated, server.requests, server.damaged):
        part.clear()
    server.break_off = None
    settings.HF_ENDPOINT = server.address
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return server


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write_weights(tmp_path / "repository")
    (folder / "README.md").write_text(CARD_TEXT)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x" * 1000)
    (folder / "pytorch_model.bin").write_bytes(b"x" * 1000)
    return folder


def run(source: str, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_model", source, "--json", *options, stdout=out, stderr=StringIO())
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refused(source: str, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(source, *options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(tmp_path: Path) -> list[str]:
    shelf = tmp_path / "home" / "weights"
    return sorted(path.name for path in shelf.iterdir()) if shelf.exists() else []


def test_a_hub_id_becomes_a_card_of_that_name_at_a_commit(hub: StandInHub, repository: Path) -> None:
    commit = hub.push("acme/tiny", repository)
    report = run("acme/tiny")
    assert (report["model_id"], report["created"], report["commit"]) == ("acme/tiny:f32", True, commit)
    assert report["left_out"] == ["pytorch_model.bin"]
    variant = Variant.objects.get()
    assert variant.facts["hub"] == {
        "endpoint": hub.address,
        "repo_id": "acme/tiny",
        "revision": "main",
        "commit": commit,
        "file": "",
    }
    assert variant.folder is not None
    assert sorted(path.name for path in variant.folder.iterdir()) == sorted(
        path.name for path in repository.iterdir() if path.name not in {"onnx", "pytorch_model.bin"}
    )
    assert hub.downloads("model.onnx") == hub.downloads("pytorch_model.bin") == []
    assert left(variant.folder.parents[2])[0].startswith("acme--tiny--")


def test_the_same_commit_again_downloads_nothing(hub: StandInHub, repository: Path) -> None:
    hub.push("acme/tiny", repository)
    run("acme/tiny")
    hub.requests.clear()
    assert not run("acme/tiny@main")["created"]
    assert [path for _method, path, _range in hub.requests if "/resolve/" in path] == []


def test_a_new_revision_is_another_variant_and_the_old_one_stays(hub: StandInHub, repository: Path) -> None:
    first = hub.push("acme/tiny", repository, "v1")
    weights = {"model.embed_tokens.weight": np.ones((10, 8), np.float32), "model.norm.weight": np.ones(8, np.float32)}
    save_file(weights, repository / "model.safetensors")
    second = hub.push("acme/tiny", repository)
    assert run("acme/tiny@v1")["commit"] == first
    assert run("acme/tiny")["commit"] == second
    assert run(f"acme/tiny@{first}") == run("acme/tiny@v1")
    assert [variant.facts["hub"]["commit"] for variant in Variant.objects.order_by("pk")] == [first, second]
    assert all(variant.folder and variant.folder.is_dir() for variant in Variant.objects.all())


def test_a_download_that_broke_off_goes_on_where_it_ended(
    hub: StandInHub, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1_000_000)
    save_file({"model.embed_tokens.weight": np.ones((300_000, 8), np.float32)}, repository / "model.safetensors")
    hub.push("acme/tiny", repository)
    hub.break_off = ("model.safetensors", 7_500_000)  # the connection is cut, and the library asks for the rest

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "downloading" and done >= 4_000_000:
            raise RuntimeError("the worker is killed")

    with pytest.raises(RuntimeError):
        import_from_hub(HubSource.of("acme/tiny"), on_progress=stop)
    assert [name for name in left(tmp_path) if name.startswith(".downloading-")]
    assert not ModelCard.objects.exists()
    run("acme/tiny")
    _first, second, *_third = (int(header[6:-1] or 0) for header in hub.downloads("model.safetensors"))
    assert 3_000_000 <= second < 9_600_000
    folder = Variant.objects.get().folder
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == (repository / "model.safetensors").read_bytes()
    assert [name for name in left(tmp_path) if name.startswith(".")] == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("acme/absent", "has no model acme/absent"),
        ("acme/tiny@v9", "acme/tiny has no revision v9"),
        ("acme/gated", "acme/gated is gated: accept its terms at"),
        ("acme/pickled", "pytorch_model.bin is not safetensors and could run code"),
        ("hub:acme", "is no hub id"),
        ("hub:acme/../x", "is no hub id"),
    ],
)
def test_what_a_hub_does_not_give_is_one_sentence_and_leaves_nothing(
    hub: StandInHub, repository: Path, tmp_path: Path, source: str, sentence: str
) -> None:
    hub.push("acme/tiny", repository)
    hub.push("acme/gated", repository)
    hub.gated.add("acme/gated")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    shutil.copy(repository / "pytorch_model.bin", pickled)
    hub.push("acme/pickled", pickled)
    assert sentence in refused(source)
    assert left(tmp_path) == []
    assert not ModelCard.objects.exists()


def test_a_file_that_is_not_what_was_published_is_refused(hub: StandInHub, repository: Path, tmp_path: Path) -> None:
    hub.push("acme/tiny", repository)
    hub.damaged.add("model.safetensors")
    assert refused("acme/tiny") == "model.safetensors is damaged: its SHA-256 is not the published one."
    assert left(tmp_path) == []
    hub.damaged.clear()
    assert run("acme/tiny")["created"]


def test_a_hub_that_is_away_is_said(hub: StandInHub, settings: Any, tmp_path: Path) -> None:
    settings.HF_ENDPOINT = "http://127.0.0.1:1"
    assert "http://127.0.0.1:1 cannot be reached" in refused("acme/tiny")
    assert left(tmp_path) == []


def test_without_a_network_the_hubs_own_cache_is_read(
    hub: StandInHub, repository: Path, tmp_path: Path, settings: Any
) -> None:
    commit = hub.push("acme/tiny", repository)
    settings.HF_HUB_OFFLINE = True
    assert "this machine's hub cache has no whole copy of acme/tiny@main. Without that setting" in refused("acme/tiny")
    (repository / "pytorch_model.bin").unlink()
    snapshot_download("acme/tiny", endpoint=hub.address, cache_dir=tmp_path / "cache", token=False)
    hub.requests.clear()
    report = run("acme/tiny")
    assert (report["created"], report["commit"]) == (True, commit)
    assert hub.requests == []
    folder = Variant.objects.get().folder
    assert folder is not None
    assert not any(path.is_symlink() for path in folder.iterdir())


PICTURED = CARD_TEXT.replace("license:", "thumbnail: https://huggingface.co/acme/tiny/resolve/main/mark.png\nlicense:")


def test_a_picture_that_the_card_names_comes_from_the_hub_too(
    hub: StandInHub, repository: Path, client: Client, settings: Any, tmp_path: Path
) -> None:
    pixel = base64.b64decode(PIXEL)
    (repository / "README.md").write_text(PICTURED)
    (repository / "mark.png").write_bytes(pixel)
    hub.push("acme/tiny", repository)
    assert run("acme/tiny")["left_out"] == ["pytorch_model.bin"]
    response = client.get("/models/acme/tiny/thumbnail")
    assert (response["Content-Type"], response.content) == ("image/png", pixel)
    variant = Variant.objects.get()
    assert "mark.png" not in variant.digests

    (repository / "pytorch_model.bin").unlink()
    hub.push("acme/tiny", repository)
    snapshot_download("acme/tiny", endpoint=hub.address, cache_dir=tmp_path / "cache", token=False)
    settings.HF_HUB_OFFLINE = True
    assert run("acme/tiny", "--name", "acme/offline")["left_out"] == []
    assert client.get("/models/acme/offline/thumbnail").content == pixel


@pytest.mark.parametrize(
    ("name", "content", "is_asked_for"),
    [
        ("mark.png", b"<svg onload=alert(1)>", True),
        ("mark.png", b"\x89PNG\r\n\x1a\n" + b"x" * 100_000, False),
        ("other.png", base64.b64decode(PIXEL), False),
    ],
)
def test_what_is_no_small_picture_of_a_hub_stays_there(
    hub: StandInHub, repository: Path, client: Client, name: str, content: bytes, is_asked_for: bool
) -> None:
    (repository / "README.md").write_text(PICTURED)
    (repository / name).write_bytes(content)
    hub.push("acme/tiny", repository)
    assert run("acme/tiny")["left_out"] == [name, "pytorch_model.bin"]
    assert bool(hub.downloads(name)) == is_asked_for
    assert client.get("/models/acme/tiny/thumbnail").status_code == 404


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x" * 1_000_001, "README.md: The card has 1,000,001 bytes; at most 1,000,000 are allowed."),
        (b"---\na: &x 1\nb: *x\n---\n", "README.md: Line 2: anchors (&) and aliases (*) are not allowed"),
    ],
)
def test_a_bad_card_is_refused_before_the_weights_are_downloaded(
    hub: StandInHub, repository: Path, tmp_path: Path, text: bytes, message: str
) -> None:
    (repository / "README.md").write_bytes(text)
    hub.push("acme/tiny", repository)
    assert refused("acme/tiny").startswith(message)
    assert hub.downloads("model.safetensors") == []
    assert left(tmp_path) == []
    assert not ModelCard.objects.exists()


def test_a_gguf_files_card_and_picture_come_with_it(hub: StandInHub, tmp_path: Path, client: Client) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    write_gguf(folder / "tiny.gguf")
    (folder / "README.md").write_text(PICTURED)
    (folder / "mark.png").write_bytes(base64.b64decode(PIXEL))
    hub.push("acme/packed", folder)
    assert run("acme/packed")["left_out"] == []
    assert client.get("/models/acme/packed/thumbnail")["Content-Type"] == "image/png"


def test_of_several_gguf_files_one_is_chosen(hub: StandInHub, tmp_path: Path) -> None:
    folder = tmp_path / "ggufs"
    folder.mkdir()
    for name in ("a.gguf", "b.gguf"):
        (folder / name).write_bytes(b"GGUF")
    hub.push("acme/packed", folder)
    assert refused("acme/packed").endswith("choose one with --file: a.gguf, b.gguf.")
    assert "has no file c.gguf; it has: a.gguf, b.gguf" in refused("acme/packed", "--file", "c.gguf")
    assert "ends in the middle of its header" in refused("acme/packed", "--file", "a.gguf")
    assert left(tmp_path) == []
