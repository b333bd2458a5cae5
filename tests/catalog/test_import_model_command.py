"""`manage.py import_model`: a folder becomes a variant that can run, or nothing happens and one sentence says why."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from safetensors.numpy import save_file

from portal.accounts.models import User
from portal.catalog import importing, weight_shelf
from portal.catalog.card_advice import card_advice
from portal.catalog.models import ModelCard, Variant
from portal.catalog.queries import get_variant_by_model_id
from portal.catalog.services import publish_revision, refresh_variant
from tests.catalog.shelf import CARD_TEXT, write_weights
from tests.catalog.test_card_sections_view import PIXEL

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_weights(tmp_path / "tiny-model")
    (folder / "README.md").write_text(CARD_TEXT)
    return folder


def run(source: Path, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_model", str(source), "--name", "acme/tiny", "--json", *options, stdout=out)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refused(source: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        call_command("import_model", str(source), "--name", "acme/tiny", *options, stdout=StringIO(), stderr=StringIO())
    message = str(caught.value)
    assert "\n" not in message
    return message


def nothing_left(home: Path) -> bool:
    shelf = home / "weights"
    return not ModelCard.objects.exists() and (not shelf.exists() or not list(shelf.iterdir()))


def test_a_folder_becomes_a_card_with_a_variant_that_can_run(source: Path, home: Path) -> None:
    report = run(source)
    assert report == {"model_id": "acme/tiny:f32", "created": True, "revision": 1, "parameters": 88, "left_out": []}
    variant = get_variant_by_model_id("acme/tiny:f32")
    assert variant is not None
    assert variant.folder is not None
    assert variant.folder.parent == home / "weights"
    assert (variant.dtype, variant.format, variant.context_length) == ("float32", "safetensors", 128)
    for path in source.iterdir():
        assert (variant.folder / path.name).read_bytes() == path.read_bytes()
    assert variant.card.current_revision is not None
    assert variant.card.current_revision.text == CARD_TEXT
    assert variant.card.title == "Tiny model", "a folder's name says little"
    assert variant.card.current_revision.note == "Imported from tiny-model"
    assert not refresh_variant(variant)


def test_a_picture_that_the_card_names_comes_with_its_folder(source: Path, client: Client) -> None:
    pixel = base64.b64decode(PIXEL)
    (source / "README.md").write_text(CARD_TEXT.replace("license:", "thumbnail: ./pixel.png\nlicense:"))
    (source / "pixel.png").write_bytes(b"<svg onload=alert(1)>")
    assert run(source)["left_out"] == ["pixel.png"]
    card = ModelCard.objects.get()
    assert client.get(card.get_absolute_url() + "thumbnail").status_code == 404
    assert '<svg class="card-mark"' in client.get("/").content.decode()
    metadata = card.current_revision.metadata if card.current_revision else {}
    assert [field for field, _ in card_advice(metadata, picture_name=card.picture_name)] == ["thumbnail"]

    (source / "pixel.png").write_bytes(pixel)
    assert run(source)["left_out"] == []
    response = client.get(card.get_absolute_url() + "thumbnail")
    assert (response["Content-Type"], response.content) == ("image/png", pixel)
    assert f'src="{card.get_absolute_url()}thumbnail?1"' in client.get("/").content.decode()
    assert card_advice(metadata, picture_name=ModelCard.objects.get().picture_name) == []


def test_importing_again_changes_nothing(source: Path, home: Path) -> None:
    run(source)
    before = sorted(home.rglob("*"))
    report = run(source)
    assert (report["created"], report["revision"]) == (False, 1)
    assert sorted(home.rglob("*")) == before
    assert Variant.objects.count() == 1


def test_other_weights_become_another_variant_and_the_first_stays(source: Path) -> None:
    run(source)
    first = Variant.objects.get()
    weights = {"model.embed_tokens.weight": np.ones((10, 8), np.float32), "model.norm.weight": np.ones(8, np.float32)}
    save_file(weights, source / "model.safetensors")
    report = run(source)
    assert report["created"]
    assert report["model_id"].startswith("acme/tiny:f32-")
    first.refresh_from_db()
    assert first.folder is not None
    assert first.folder.is_dir()
    assert Variant.objects.count() == 2


def test_a_new_text_is_a_revision_and_an_old_one_does_not_undo_an_edit(source: Path, maintainer: User) -> None:
    run(source)
    card = ModelCard.objects.get()
    publish_revision(card, "# Edited here\n", maintainer)
    assert run(source)["revision"] == 2
    (source / "README.md").write_text(CARD_TEXT + "Newer.\n")
    assert run(source) == {
        "model_id": "acme/tiny:f32",
        "created": False,
        "revision": 3,
        "parameters": 88,
        "left_out": [],
    }
    assert Variant.objects.count() == 1


def test_a_folder_without_a_card_makes_a_card_without_a_text(source: Path) -> None:
    (source / "README.md").unlink()
    assert run(source, "--unpublished")["revision"] is None
    assert not ModelCard.objects.get().is_published


def test_recommended_sampling_becomes_the_defaults_and_what_cannot_be_followed_is_named(source: Path) -> None:
    (source / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "top_p": 7, "do_sample": True}))
    assert run(source)["left_out"] == ["generation_config.json: top_p"]
    assert Variant.objects.get().defaults == {"temperature": 0.6}


def test_what_is_no_part_of_a_model_stays_behind_and_is_named(source: Path, home: Path) -> None:
    (source / ".git").mkdir()
    (source / "onnx").mkdir()
    (source / "modeling.py").write_text("raise SystemExit")
    (source / "digests.json").write_text("{}")
    assert run(source)["left_out"] == [".git", "digests.json", "modeling.py", "onnx"]
    assert not list(home.rglob("*.py"))


def test_a_link_inside_the_folder_is_copied_as_its_file(source: Path) -> None:
    (source / "model.safetensors").rename(source / "blob.model")
    (source / "model.safetensors").symlink_to("blob.model")
    run(source)
    folder = Variant.objects.get().folder
    assert folder is not None
    assert not (folder / "model.safetensors").is_symlink()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.PT", "a.pickle", "b.npz"])
def test_pickles_are_refused(source: Path, home: Path, name: str) -> None:
    (source / name).write_bytes(b"\x80\x02}q\x00.")
    assert refused(source).startswith(f"{name} is not safetensors and could run code")
    assert nothing_left(home)


def test_links_out_of_the_folder_are_refused(source: Path, home: Path) -> None:
    (source / "extra.json").symlink_to("/etc/passwd")
    assert refused(source) == "extra.json is a link out of the folder; copy the file itself into it."
    assert nothing_left(home)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"broken", "model.safetensors"),
        ("model.safetensors", (2**60).to_bytes(8, "little"), "model.safetensors"),
        ("config.json", b"{", "config.json"),
        ("config.json", b'{"auto_map": {}}', "needs code from its repository"),
        ("tokenizer.json", b"nope", "tokenizer.json: not JSON"),
        ("README.md", b"---\na: &x 1\n---\n", "README.md: Line 2: anchors"),
        ("README.md", b"\xff", "README.md: Line 1: byte 0xff is not UTF-8"),
        ("README.md", b"x" * 1_000_001, "README.md: The card has"),
        ("generation_config.json", b"[]", "generation_config.json is not a JSON object"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../../etc/passwd"}}', "outside"),
    ],
)
def test_what_is_broken_is_named_and_nothing_is_left(
    source: Path, home: Path, name: str, content: bytes, message: str
) -> None:
    (source / name).write_bytes(content)
    said = refused(source)
    assert message in said
    assert ".importing-" not in said
    assert nothing_left(home)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_is_missing_is_named(source: Path, home: Path, name: str) -> None:
    (source / name).unlink()
    assert refused(source)
    assert nothing_left(home)


@pytest.mark.parametrize("name", ["acme", "acme/", "/tiny", "a/b/c", "../x/y", "ac me/tiny"])
def test_a_name_that_no_address_can_hold_is_refused(source: Path, home: Path, name: str) -> None:
    assert "cannot be a card's name" in refused(source, "--name", name)
    assert nothing_left(home)


def test_a_source_that_is_no_folder_is_refused(tmp_path: Path, home: Path) -> None:
    assert "There is no folder and no file" in refused(tmp_path / "absent")
    assert nothing_left(home)


def test_a_full_disk_is_said_before_anything_is_copied(
    source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_shelf.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    assert "but only 1 are free" in refused(source)
    assert nothing_left(home)


def test_a_failure_in_the_database_takes_the_files_back(
    source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(importing, "_variant", fail)
    assert "the disk is gone" in refused(source)
    assert nothing_left(home)


def test_what_a_killed_import_left_is_swept_and_what_is_in_use_is_not(source: Path, home: Path) -> None:
    killed, running = home / "weights" / ".importing-killed", home / "weights" / ".importing-running"
    for folder in (killed, running):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - 120,) * 2)
    descriptor = os.open(running, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        run(source)
    finally:
        os.close(descriptor)
    assert not killed.exists()
    assert running.exists()


def test_people_are_told_where_to_look(source: Path) -> None:
    out = StringIO()
    call_command("import_model", str(source), stdout=out, stderr=StringIO())
    assert out.getvalue() == "local/tiny-model:f32 is imported: /models/local/tiny-model/\n"
