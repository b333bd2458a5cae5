"""Where an operation's answer leads: OpenAPI's links, so that programs find the next request in the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ID: Final = "$response.body#/id"
_CLAIMED: Final = {"item_id": _ID}
_CONTEST: Final = {"contest_id": _ID}
_RUN: Final = {"generation_id": _ID}
_BUILD: Final = {"build_id": _ID}
_MESSAGE: Final = {"endpoint_id": "$request.path.endpoint_id", "message_id": _ID}
_ANSWERED: Final = {"200", "201", "202"}
_VERSION: Final = {"slug": "$response.body#/slug", "version": "$response.body#/version"}
# Operation → parameters of where it leads, out of its answer; and which operations these are.
LINKS: Final[Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]]] = {
    "feedback_submit": ({"submission_id": _ID}, ("feedback_retrieve", "feedback_revise", "feedback_withdraw")),
    "submissions_give": (
        {"submission_id": _ID},
        ("submissions_retrieve", "submissions_revise", "submissions_withdraw"),
    ),
    "questionnaires_start": (
        _VERSION,
        ("questionnaires_retrieve", "questionnaires_change", "questions_add", "questionnaires_discard"),
    ),
    "questions_add": (_VERSION, ("questions_add", "questionnaires_publish", "questionnaires_discard")),
    "questionnaires_publish": (_VERSION, ("questionnaires_retrieve", "questionnaires_draft")),
    "questionnaires_draft": (_VERSION, ("questions_add", "questionnaires_change", "questionnaires_discard")),
    "campaigns_make": (
        {"slug": "$response.body#/slug"},
        ("campaigns_retrieve", "campaigns_change", "campaigns_results"),
    ),
    "review_claims_next": (_CLAIMED, ("review_items_retrieve", "review_verdicts_give", "review_items_release")),
    "review_items_claim": (_CLAIMED, ("review_items_retrieve", "review_verdicts_give", "review_items_release")),
    "review_verdicts_give": ({"verdict_id": _ID}, ("review_verdicts_retrieve", "review_verdicts_undo")),
    "limitations_make": (
        {"limitation_id": _ID},
        (
            "limitations_retrieve",
            "limitations_change",
            "limitations_me_too",
            "limitation_reports_list",
            "replays_list",
            "replays_start",
        ),
    ),
    "conversations_create": (
        {"conversation_id": _ID},
        ("conversations_retrieve", "conversations_revise", "conversations_delete", "conversations_restore"),
    ),
    "generations_create": (
        _RUN,
        ("generations_retrieve", "generations_trace", "generations_cancel", "generations_again", "generations_rerun"),
    ),
    "generations_again": (_RUN, ("generations_retrieve", "generations_cancel")),
    "comparisons_create": (
        _CONTEST,
        ("comparisons_retrieve", "comparisons_send", "comparisons_stop", "comparisons_vote"),
    ),
    "battles_create": (_CONTEST, ("battles_retrieve", "battles_send", "battles_stop", "battles_vote")),
    "webhooks_create": (
        {"endpoint_id": _ID},
        (
            "webhooks_retrieve",
            "webhooks_change",
            "webhooks_secret",
            "webhooks_ping",
            "webhooks_deliveries",
            "webhooks_delete",
        ),
    ),
    "webhooks_ping": (_MESSAGE, ("webhooks_redeliver",)),
    "campaign_quotes_choose": (
        {"slug": "$request.path.slug", "answer": "$response.body#/answer"},
        ("campaign_quotes_drop",),
    ),
    "snapshots_make": (_BUILD, ("snapshot_builds_retrieve", "snapshot_builds_cancel", "snapshot_builds_again")),
    "snapshot_builds_cancel": (_BUILD, ("snapshot_builds_again",)),
    "replays_start": ({"replay_id": _ID}, ("replays_retrieve", "replays_again")),
}


def add_links(result: dict[str, Any], **_of_the_generator: Any) -> dict[str, Any]:
    """drf-spectacular's hook: the finished document with the links."""
    for path in result["paths"].values():
        for operation in path.values():
            found = LINKS.get(operation.get("operationId", "")) if isinstance(operation, dict) else None
            if found is None:
                continue
            parameters, targets = found
            links = {target: {"operationId": target, "parameters": dict(parameters)} for target in targets}
            for status in _ANSWERED & operation["responses"].keys():
                operation["responses"][status]["links"] = links
    return result
