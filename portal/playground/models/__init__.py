"""The playground's rows."""

from portal.playground.models.conversation import Conversation
from portal.playground.models.generation import ACTIVE_STATES, FINAL_STATES, Generation, Kind, State, TokenTrace
from portal.playground.models.library import LibraryPrompt, PromptCollection
from portal.playground.models.presets import Preset
from portal.playground.models.sharing import ShareLink
from portal.playground.models.tally import RunTally
from portal.playground.models.workers import MaintenanceLease, WorkerHeartbeat

__all__ = [
    "ACTIVE_STATES",
    "FINAL_STATES",
    "Conversation",
    "Generation",
    "Kind",
    "LibraryPrompt",
    "MaintenanceLease",
    "Preset",
    "PromptCollection",
    "RunTally",
    "ShareLink",
    "State",
    "TokenTrace",
    "WorkerHeartbeat",
]
