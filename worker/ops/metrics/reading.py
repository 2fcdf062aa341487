"""What the process as a whole has to tell its operators, besides what the lanes count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Reading:
    """The process at one moment."""

    version: str
    ready: bool
    """As `/readyz` says."""
    settings_refused: bool
    """The last reload found settings that it could not use."""
    connected: Mapping[str, bool]
    """By the connection's name."""
    reconnects: Mapping[str, int]
    blocked: bool
    """RabbitMQ takes no publications."""
    confirms_outstanding: int
    events_refused: int
    """Events that went to the journal alone."""
    letters_refused: int
    """How often RabbitMQ would not take a dead letter; each is offered until it does."""
    threads_short: bool = False
    """The machine gives fewer threads than the accounts' concurrency asks for."""
    state_folder_usable: bool = True
    """Notes of what is being called outlive the process."""
    subscribed: Mapping[str, bool] = field(default_factory=dict)
    """Account to whether its queue is consumed, as a stand-by too; ``-`` for the strays."""
    lanes_left_over: int = 0
    """Lanes that this worker served once, that no account owns, and that nobody consumes."""
    strays: Tally = field(default_factory=Tally)
    """Of the edits that belong to no account."""
