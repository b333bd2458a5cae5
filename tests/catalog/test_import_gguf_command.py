"""`manage.py import_model FILE.gguf`, and of an installed package's file: unpacked once, with its own tensors kept."""

from __future__ import annotations

import base64
import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

from portal.catalog.models import ModelCard, Relation, TensorPart, Variant
from portal.catalog.queries import tensor_rows
from portal.catalog.services import refresh_variant
from tests.catalog.shelf import CARD_TEXT, write_gguf
from tests.catalog.test_card_sections_view import PIXEL

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def run(source: object, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_model", str(source), "--json", *options, stdout=out, stderr=StringIO())
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refused(source: object, home: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(source, *options)
    shelf = home / "weights"
    assert not ModelCard.objects.exists()
    assert not shelf.exists() or list(shelf.iterdir()) == []
    return str(caught.value)


def test_a_gguf_file_is_unpacked_and_its_own_tensors_are_kept(tmp_path: Path, home: Path) -> None:
    source = write_gguf(tmp_path / "tiny-Q4_1.gguf")
    report = run(source)
    assert (report["model_id"], report["created"]) == ("local/tiny-Q4_1:q4_1-bf16", True)
    variant = Variant.objects.get()
    assert (variant.relation, variant.quantisation, variant.dtype) == (Relation.QUANTIZED, "Q4_1", "bfloat16")
    origin = {row.name: row for row in tensor_rows(variant)[TensorPart.ORIGIN]}
    reader = {str(tensor.name): tensor for tensor in GGUFReader(source).tensors}
    assert origin.keys() == reader.keys()
    assert origin["blk.0.ffn_up.weight"].dtype == "Q4_1"
    assert variant.folder is not None
    stored = (variant.folder / "model.safetensors").read_bytes()
    length = int.from_bytes(stored[:8], "little")
    entry = json.loads(stored[8 : 8 + length])["model.layers.0.mlp.up_proj.weight"]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    bits = np.frombuffer(stored[begin:end], "<u2").astype(np.uint32) << 16
    tensor = reader["blk.0.ffn_up.weight"]
    truth = dequantize(tensor.data, tensor.tensor_type)
    np.testing.assert_allclose(bits.view(np.float32).reshape(truth.shape), truth, rtol=2**-8)
    # The file itself stays beside them, so a later reading finds the same.
    (variant.folder / "model.safetensors").touch()
    assert refresh_variant(variant)
    assert variant.facts["origin_types"]["Q4_1"] > 0
    assert not run(source)["created"]
    assert Variant.objects.count() == 1


def test_a_plain_gguf_file_is_not_called_quantised(tmp_path: Path) -> None:
    run(write_gguf(tmp_path / "tiny.gguf", kind=GGMLQuantizationType.F16))
    assert Variant.objects.get().relation == ""


def test_a_packages_file_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "llm_tiny"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    write_gguf(package / "tiny.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run("package:llm-tiny/tiny.gguf", "--name", "acme/tiny")["created"]
    assert "llm_tiny" not in sys.modules


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("package:absent-one/x.gguf", "There is no installed package absent-one."),
        ("package:gguf", "Name a file of gguf: package:gguf/… (it has no GGUF)."),
        ("package:gguf/../../secret.gguf", "The package gguf has no file ../../secret.gguf."),
        ("package:../x", "There is no installed package ..."),
        ("package:os.path/x", "There is no installed package os.path."),
    ],
)
def test_what_is_no_file_of_a_package_is_said(home: Path, source: str, sentence: str) -> None:
    assert refused(source, home) == sentence


@pytest.mark.parametrize("size", [0, 3, 200, 9_000])
def test_a_damaged_gguf_file_is_named_and_leaves_nothing(tmp_path: Path, home: Path, size: int) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes()[:size])
    assert refused(path, home).startswith("tiny.gguf: ")


def test_a_folder_of_one_gguf_file_brings_its_card_and_picture(tmp_path: Path, client: Client) -> None:
    folder = tmp_path / "tiny-gguf"
    folder.mkdir()
    write_gguf(folder / "tiny.gguf")
    (folder / "README.md").write_text(CARD_TEXT.replace("license:", "thumbnail: mark.png\nlicense:"))
    (folder / "mark.png").write_bytes(b"no picture")
    assert run(folder)["left_out"] == ["mark.png"]
    assert client.get("/models/local/tiny-gguf/thumbnail").status_code == 404
    (folder / "mark.png").write_bytes(base64.b64decode(PIXEL))
    report = run(folder)
    assert (report["created"], report["revision"], report["left_out"]) == (False, 1, [])
    assert client.get("/models/local/tiny-gguf/thumbnail")["Content-Type"] == "image/png"


def test_of_a_folders_gguf_files_one_is_chosen(tmp_path: Path, home: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert refused(tmp_path, home).endswith("has several GGUF files; choose one with --file: a.gguf, b.gguf.")
    assert "has no file c.gguf; it has: a.gguf, b.gguf." in refused(tmp_path, home, "--file", "c.gguf")
    assert refused(tmp_path, home, "--file", "a.gguf").startswith("a.gguf: ")


def test_another_file_is_no_source(tmp_path: Path, home: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    assert "is neither a folder nor a GGUF file" in refused(tmp_path / "model.bin", home)


def test_what_fails_after_the_conversion_takes_it_back(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr("portal.catalog.importing._variant", fail)
    assert "the disk is gone" in refused(write_gguf(tmp_path / "tiny.gguf"), home)
