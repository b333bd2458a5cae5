"""What stands beside a snapshot's data: manifest, dataset card, Croissant description, licences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from portal.exports.schema import Column, Kind, Schema

CROISSANT_VERSION: Final = "http://mlcommons.org/croissant/1.0"
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST: Final = "1M<n<10M"
# Hub identifiers of licences, where they differ from SPDX's by more than case.
_MIXED: Final = "other"
_INTRODUCTION: Final = """Snapshot {number}, as of {as_of}. What people said of open-weight models on one installation \
of Steelyard, and agreed to publish. `manifest.json` has the query and the SHA-256 of every file, `SHA256SUMS` \
the same for `sha256sum --check`, `changelog.jsonl` what changed since the snapshot before."""
_TOMBSTONES: Final = """What was withdrawn since stands in the list of tombstones that the installation gives out with \
this snapshot: drop those rows before you train."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of the snapshot."""

    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table of the snapshot: its name and title, its rows and its two schemas."""

    title: str
    summary: str
    rows: int
    schema: Schema
    flat_schema: Schema


@dataclass(frozen=True, slots=True)
class Release:
    """Everything that the documents say of one snapshot; `as_of` is ISO 8601."""

    number: int
    title: str
    note: str
    as_of: str
    criteria: Mapping[str, str]
    tables: Mapping[str, TableFacts]
    salting: str
    redacts: bool
    licences: tuple[str, ...]
    code_version: str
    previous: int | None
    changes: Mapping[str, int]
    files: Mapping[str, FileFacts]

    @property
    def name(self) -> str:
        return f"steelyard-snapshot-{self.number:05d}"


def manifest(release: Release) -> dict[str, Any]:
    """What was asked, what came out, and the digest of every file."""
    return {
        "name": release.name,
        "number": release.number,
        "title": release.title,
        "note": release.note,
        "as_of": release.as_of,
        "query": {"tables": list(release.tables), "filters": dict(release.criteria)},
        "pseudonyms": release.salting,
        "personal_data_replaced": release.redacts,
        "licences": list(release.licences),
        "rows": {name: table.rows for name, table in release.tables.items()},
        "schema": {name: table.schema.json_schema() for name, table in release.tables.items()},
        "code_version": release.code_version,
        "previous": release.previous,
        "changes": dict(release.changes),
        "files": {
            path: {"bytes": facts.bytes, "sha256": facts.sha256, **({} if facts.rows is None else {"rows": facts.rows})}
            for path, facts in sorted(release.files.items())
        },
    }


def checksums(files: Mapping[str, FileFacts]) -> str:
    """What `sha256sum --check` reads."""
    return "".join(f"{facts.sha256}  {path}\n" for path, facts in sorted(files.items()))


def dataset_card(release: Release) -> str:
    """A README.md that `datasets.load_dataset` takes the tables from."""
    rows = sum(table.rows for table in release.tables.values())
    front = {
        "pretty_name": f"{release.title} (snapshot {release.number})",
        "license": release.licences[0].lower() if len(release.licences) == 1 else _MIXED,
        "tags": ["steelyard", "human-feedback"],
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), _LARGEST)],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": f"data/{name}.parquet"}]}
            for name in release.tables
        ],
    }
    people = (
        "They were made for this snapshot alone: nobody is recognised in another one."
        if release.salting == "own"
        else "They are those of the installation's API and of its other snapshots that say so."
    )
    replaced = " What looked like personal data was replaced by its kind in brackets." if release.redacts else ""
    example = (
        "```python\nfrom datasets import load_dataset\n\n"
        f'rows = load_dataset("path/to/this/folder", "{next(iter(release.tables), "feedback")}", split="train")\n```'
    )
    text = [
        f"# {_one_line(release.title)}",
        release.note,
        _INTRODUCTION.format(number=release.number, as_of=release.as_of),
        example,
        "## Tables",
        *(_table(name, table) for name, table in release.tables.items()),
        "## People",
        f"Contributors stand as pseudonyms. {people}{replaced}",
        _TOMBSTONES,
        "## Licences",
        "Each row has the licence that its contributor chose: " + (", ".join(release.licences) or "none") + ".",
    ]
    yaml_text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{yaml_text}---\n\n" + "\n\n".join(part for part in text if part) + "\n"


def licence_text(release: Release) -> str:
    """The LICENSE file: which licences the rows are under, and where each can be read."""
    lines = [
        "The rows of this data set are under the licences that their contributors chose; the column",
        "`licence` says which.",
        "",
    ]
    lines += [f"- {name}: https://spdx.org/licenses/{name}.html" for name in release.licences] or ["(no rows)"]
    return "\n".join(lines) + "\n"


def croissant(release: Release) -> dict[str, Any]:
    """The same in Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""
    distribution = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            # As Croissant's readers know it; it is registered as application/vnd.apache.parquet.
            "encodingFormat": "application/x-parquet",
            "sha256": facts.sha256,
            "contentSize": f"{facts.bytes} B",
        }
        for path, facts in sorted(release.files.items())
        if path.endswith(".parquet")
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT_VERSION,
        "name": release.name,
        "description": release.note or release.title,
        "citeAs": f"{release.title}. {release.name}, {release.as_of[:10]}.",
        "version": f"{release.number}.0.0",
        "datePublished": release.as_of,
        "license": [f"https://spdx.org/licenses/{name}.html" for name in release.licences],
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": name,
                "name": name,
                "description": table.summary,
                "field": [_field(name, column) for column in table.flat_schema.columns],
            }
            for name, table in release.tables.items()
        ],
    }


def _field(table: str, column: Column) -> dict[str, Any]:
    place = f"{table}/{column.name}"
    source = {"fileObject": {"@id": f"data/{table}.parquet"}, "extract": {"column": column.name}}
    field = {"@type": "cr:Field", "@id": place, "name": column.name, "description": str(column.meaning)}
    if column.kind != Kind.MESSAGES:
        repeated = {"repeated": True} if column.kind == Kind.TEXTS else {}
        return {**field, "dataType": _DATA_TYPES.get(column.kind, "sc:Text"), "source": source, **repeated}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{place}/{name}",
            "name": name,
            "dataType": "sc:Text",
            "repeated": True,
            "source": {**source, "transform": {"jsonPath": f"$.{name}"}},
        }
        for name in ("role", "content")
    ]
    return {**field, "repeated": True, "subField": parts}


def _table(name: str, table: TableFacts) -> str:
    lines = [
        f"### {name}",
        "",
        f"{table.summary} {table.rows} rows.",
        "",
        "| column | holds | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{column.name}` | {column.kind.value} | {_one_line(str(column.meaning))} |"
        for column in table.schema.columns
    ]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_DATA_TYPES: Final = {
    Kind.INTEGER: "sc:Integer",
    Kind.NUMBER: "sc:Float",
    Kind.BOOLEAN: "sc:Boolean",
    Kind.TIME: "sc:Date",
}
# As mlcroissant makes it for 1.0: its readers warn of a key that is missing, whether it is used or not.
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
