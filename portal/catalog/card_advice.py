"""What a card's metadata could say better: valid values that a reader or a model hub trips on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import gettext as _

from portal.catalog.card_fields import Problem
from portal.catalog.card_metadata import TRAINING_FIELD, CardMetadata, describe_metadata
from portal.catalog.card_training import training_problems

# What model hubs call the licences that they know.
LICENSES: Final = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0
    grok2-community h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2
    llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0
    other pddl postgresql unknown unlicense wtfpl zlib
    """.split()  # noqa: SIM905 - eighty names read better as words
)
_LANGUAGE_CODE: Final = re.compile(r"(?:[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*|multilingual|code)")


def card_advice(metadata: dict[str, Any], *, picture_name: str = "") -> list[Problem]:
    """Field and sentence of everything to think again about; never raises, and refuses nothing.

    `picture_name` is the file that an import kept as the card's picture.
    """
    said = describe_metadata(metadata)
    pictures = _pictures(metadata, said, picture_name)
    return [*_license(metadata, said), *_languages(said), *pictures, *_references(metadata, said)] + [
        (TRAINING_FIELD + path, message) for path, message in training_problems(metadata.get(TRAINING_FIELD))
    ]


def _license(metadata: dict[str, Any], said: CardMetadata) -> Iterator[Problem]:
    stated = metadata.get("license")
    identifiers = [each for each in (stated if isinstance(stated, list) else [stated]) if isinstance(each, str)]
    for identifier in identifiers:
        if identifier not in LICENSES:
            yield (
                "license",
                _("“%(name)s” is no identifier that model hubs know; use one of theirs, or other with license_name.")
                % {"name": identifier[:80]},
            )
    if "other" in identifiers and not metadata.get("license_name"):
        yield "license_name", _("name the licence, since “other” says nothing, and link to it in license_link.")
    link = metadata.get("license_link")
    if link and said.license is not None and not said.license.url:
        yield "license_link", _("is shown as no link; use an address that begins with https://.")


def _languages(said: CardMetadata) -> Iterator[Problem]:
    for code in said.language_codes:
        if not _LANGUAGE_CODE.fullmatch(code):
            yield (
                "language",
                _("“%(code)s” is no code of a language; use ISO 639, such as en or de.") % {"code": code[:40]},
            )


def _pictures(metadata: dict[str, Any], said: CardMetadata, picture_name: str) -> Iterator[Problem]:
    is_kept = bool(picture_name) and said.thumbnail_file == picture_name
    if metadata.get("thumbnail") and not said.thumbnail and not is_kept:
        yield (
            "thumbnail",
            _(
                "is not shown, since this portal loads no pictures from elsewhere; give a PNG, JPEG, GIF or WebP of at "
                "most 100 kB as data:image/png;base64,…, or as a file of the folder that is imported."
            ),
        )


def _references(metadata: dict[str, Any], said: CardMetadata) -> Iterator[Problem]:
    if said.base_model_relation and not said.base_models:
        yield "base_model_relation", _("says how the model came from its base, which base_model does not name.")
    for reference in said.base_models:
        if not reference.url:
            yield "base_model", _("“%(name)s” is no id such as owner/name.") % {"name": reference.name[:80]}
    if metadata.get("model-index") and not said.results:
        yield "model-index", _("holds no result that can be shown: each metric needs a value that is a number or text.")
    for result in said.results:
        if not result.source_name:
            yield "model-index", _("%(metric)s names no source; who measured it?") % {"metric": result.metric}
            break
