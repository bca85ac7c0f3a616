"""What happened to a release, newest first, with who did it and why."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from pages.components import rows
from pages.components.charts import shorten

KINDS = {
    "proposed": "Waits for approval",
    "started": "Started",
    "approved": "Approved",
    "held": "Held",
    "resumed": "Went on",
    "promoted": "Reached the next stage",
    "rolled_back": "Rolled back",
    "cancelled": "Cancelled",
    "completed": "Completed",
    "superseded": "Replaced by a later release",
}

BY_ITSELF = {"schedule": "Afterglow, as planned", "guardrail": "Afterglow, a guardrail"}


def show(events: Sequence[Any]) -> None:
    """Show the events of a release, given in the order of time."""
    rows.show(
        ["When (UTC)", "What", "Who", "Why"],
        [_row(event) for event in reversed(events)],
        "What happened to the release",
    )


def _row(event: Any) -> list[str]:
    return [
        f'<span style="white-space:nowrap">{event.at:%d %b %Y, %H:%M}</span>',
        escape(KINDS.get(event.kind, event.kind.replace("_", " ").capitalize())),
        escape(BY_ITSELF.get(event.actor) or shorten(event.actor, 40)),
        escape(shorten(event.reason or "", 300)),
    ]
