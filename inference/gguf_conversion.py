"""Turns a GGUF file into a safetensors folder that loads in a second: `python -m inference.gguf_conversion SRC DEST`.

The folder holds config, tokenizer, chat template and bfloat16 weights, and a marker that names the source's digest, so
that a second call with the same source does nothing. torch is loaded only when there is something to convert.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tqdm import tqdm

MARKER_NAME: Final = "conversion.json"
GGUF_MAGIC: Final = b"GGUF"
# bfloat16 needs at most 4 times the bytes of the smallest common block format (4 bits), plus tokenizer and slack.
DISK_FACTOR: Final = 4
DISK_SLACK_BYTES: Final = 64 * 2**20

ProgressListener = Callable[[float, str], None]


class ConversionError(RuntimeError):
    """The file could not be converted; the message is one sentence for the person at the terminal."""


def convert_gguf(source: Path, destination: Path, on_progress: ProgressListener | None = None) -> bool:
    """Write `destination` from `source`; false when it was up to date already.

    `on_progress` gets the share done, 0 to 1, and what is being done. The destination appears whole or not at all.
    Raises ConversionError for a missing or damaged source, no room, or a destination that holds something else.
    """
    report = on_progress or (lambda _share, _stage: None)
    digest = _digest_of_source(source, report)
    if _is_converted(destination, digest):
        report(1.0, "up to date")
        return False
    _require_replaceable(destination)
    _require_room(source, destination)
    staging = destination.with_name(f".{destination.name}.partial-{os.getpid()}")
    try:
        staging.mkdir(parents=True)
        _write(source, staging, digest, report)
        _move_into_place(staging, destination, digest)
    except OSError as error:
        raise ConversionError(f"Cannot write {destination}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    report(1.0, "done")
    return True


def _digest_of_source(source: Path, report: ProgressListener) -> str:
    report(0.0, "reading the file")
    try:
        with source.open("rb") as file:
            if file.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
                raise ConversionError(f"{source} is not a GGUF file.")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ConversionError(f"{source} does not exist.") from None
    except OSError as error:
        raise ConversionError(f"Cannot read {source}: {error.strerror}.") from error


def _is_converted(destination: Path, digest: str) -> bool:
    return _marker_of(destination).get("source_sha256") == digest


def _marker_of(folder: Path) -> dict[str, object]:
    try:
        marker = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def _require_replaceable(destination: Path) -> None:
    if destination.is_dir() and any(destination.iterdir()) and not _marker_of(destination):
        raise ConversionError(f"{destination} exists and was not made by this command; move it away first.")
    if destination.exists() and not destination.is_dir():
        raise ConversionError(f"{destination} is a file; name a folder.")


def _require_room(source: Path, destination: Path) -> None:
    existing = next(parent for parent in (destination, *destination.absolute().parents) if parent.exists())
    needed = source.stat().st_size * DISK_FACTOR + DISK_SLACK_BYTES
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ConversionError(
            f"Not enough room for {destination}: {needed // 2**20} MB needed, {free // 2**20} MB free on that disk."
        )


def _write(source: Path, staging: Path, digest: str, report: ProgressListener) -> None:
    report(0.1, "loading transformers")
    from inference.gguf_weights import DamagedFile, write_folder  # noqa: PLC0415 - up to date must not cost torch

    try:
        write_folder(source, staging, lambda share, stage: report(0.2 + 0.75 * share, stage))
    except DamagedFile as error:
        raise ConversionError(f"{source} is damaged or of an unsupported kind: {error}.") from error
    marker = {"source": source.name, "source_sha256": digest, "dtype": "bfloat16"}
    (staging / MARKER_NAME).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")


def _move_into_place(staging: Path, destination: Path, digest: str) -> None:
    replaced = staging.with_name(f"{staging.name}.replaced")
    if destination.exists():
        destination.rename(replaced)
    try:
        staging.rename(destination)
    except OSError:
        # Another process may have converted the same file in the meantime.
        if not _is_converted(destination, digest):
            raise
    finally:
        shutil.rmtree(replaced, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Convert with a progress bar on stderr; 0, or 1 after a one-sentence error."""
    parser = argparse.ArgumentParser(prog="python -m inference.gguf_conversion", description=__doc__)
    parser.add_argument("source", type=Path, help="the GGUF file")
    parser.add_argument("destination", type=Path, help="the folder to write")
    options = parser.parse_args(arguments)
    with tqdm(total=100, unit="%", bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}") as bar:

        def show(share: float, stage: str) -> None:
            bar.set_description_str(f"{options.destination.name}: {stage}")
            bar.update(round(share * 100) - bar.n)

        try:
            convert_gguf(options.source, options.destination, show)
        except ConversionError as error:
            bar.close()
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
