"""What of a whole card is there: sections by their headings, fields by the metadata, training part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.catalog.card_outline import FIELDS, MIN_WORDS, MOST_POINTS, SECTIONS, count_words, measure_outline
from portal.catalog.card_text import parse_card
from portal.catalog.card_training import TrainingEntry, TrainingPart, describe_training, training_problems
from portal.catalog.markdown import Heading

SEED_TEXT = Path(__file__).parents[2] / "portal/catalog/seed_cards/smollm2-135m-instruct.md"
ENOUGH = "word " * MIN_WORDS


def keys_missing(metadata: dict[str, Any], body: str) -> set[str]:
    outline = measure_outline(metadata, body)
    return {state.section.key for state in outline.sections if not state.is_there} | {
        state.field.key for state in outline.fields if not state.is_there
    }


def test_the_shipped_card_is_complete() -> None:
    card = parse_card(SEED_TEXT.read_bytes())
    assert keys_missing(card.metadata, card.body) == set()
    assert measure_outline(card.metadata, card.body).points == MOST_POINTS


def test_an_empty_card_misses_everything_and_says_why() -> None:
    outline = measure_outline({}, "")
    assert (outline.points, len(outline.missing)) == (0, len(SECTIONS) + len(FIELDS))
    assert all(str(state.section.why) and str(state.section.asks) for state in outline.sections)
    assert all(str(state.field.why) for state in outline.fields)


def test_the_papers_nine_sections_are_asked_for() -> None:
    assert [str(section.label) for section in SECTIONS] == [
        *("Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"),
        *("Quantitative analyses", "Ethical considerations", "Caveats and recommendations"),
    ]


def test_headings_of_the_hubs_own_template_count() -> None:
    body = "\n\n".join(
        f"{level} {name}\n\n{ENOUGH}"
        for level, name in [
            *[
                ("##", "Model Details"),
                ("##", "Uses"),
                ("##", "Bias, Risks, and Limitations"),
                ("###", "Training Data"),
            ],
            *[("###", "Testing Data, Factors & Metrics"), ("##", "Evaluation")],
        ]
    )
    assert keys_missing({}, body) >= {"factors", "metrics"}
    assert not keys_missing({}, body) & {"details", "use", "ethics", "caveats", "training-data", "analyses"}


def test_a_placeholder_is_no_text_and_too_few_words_are_none() -> None:
    assert count_words("[More Information Needed]\n<!-- about the data of this model -->\n### A heading") == 0
    outline = measure_outline(
        {}, "## Training data\n\n[More Information Needed]\n\n## Metrics\n\nOnly four words here.\n"
    )
    states = {state.section.key: state for state in outline.sections}
    assert (states["training-data"].is_there, states["training-data"].words) == (False, 0)
    assert (states["metrics"].is_there, states["metrics"].words) == (False, 4)


def test_a_section_holds_its_inner_sections() -> None:
    outline = measure_outline({}, f"## Training data\n\n### Sources\n\n{ENOUGH}\n\n## Other\n\nx\n")
    assert next(state for state in outline.sections if state.section.key == "training-data").words == MIN_WORDS


def test_training_earns_a_point_for_each_part_that_is_answered() -> None:
    block = {
        "data": "The web",
        "compute": {"not_published": "The maker does not say, nor the energy."},
        "dates": [{"what": "Release", "date": "2025-02-04"}, {"detail": "without a name"}],
        "decisions": 5 * [None],
    }
    outline = measure_outline({"training": block}, "")
    assert next(state for state in outline.fields if state.field.key == "training").points == 3
    assert "emissions" not in keys_missing({"training": block}, "")


def test_what_is_absent_is_shown_as_absent() -> None:
    parts = {answer.part: answer for answer in describe_training({"compute": {"not_published": "unknown"}})}
    assert list(parts) == list(TrainingPart)
    assert (parts[TrainingPart.COMPUTE].is_told, parts[TrainingPart.COMPUTE].is_answered) == (False, True)
    assert not parts[TrainingPart.DATA].is_answered


def test_entries_keep_their_links_and_only_web_addresses_are_links() -> None:
    block = {"data": [{"what": "Web", "why": "wide", "source": ["https://a.example/x", "javascript:alert(1)"]}]}
    (answer, *_rest) = describe_training(block)
    assert answer.entries == (TrainingEntry("Web", why="wide", sources=("https://a.example/x",)),)
    assert [path for path, _message in training_problems(block)] == [".data[0].source"]


def test_headings_lead_to_parts_that_the_block_does_not_tell() -> None:
    heading = Heading(2, "3. Training procedure", "card-training-procedure")
    answers = {answer.part: answer for answer in describe_training(None, [heading])}
    assert answers[TrainingPart.PROCEDURE].headings == (heading,)
    assert answers[TrainingPart.PROCEDURE].is_told


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "compute", "what", "detail", "source", "not_published", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(shapes, st.text(st.characters(), max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_shape_raises_and_the_measure_stays_within_its_bounds(block: Any, body: str) -> None:
    outline = measure_outline({"training": block}, f"## Training data\n{body}\n# {body}")
    assert 0 <= outline.points <= MOST_POINTS
    assert all(isinstance(message, str) for _path, message in training_problems(block))
