"""Background runs: the life of their rows, and how their work is carried out through kills and pauses."""

from learning_core.background.carrying import AGAIN, Carried, Ending, carry_out
from learning_core.background.rows import (
    UNCAPPED,
    Cap,
    Run,
    Spent,
    begin,
    cancel,
    create,
    find,
    finish,
    pause,
    queue_again,
    raise_cap,
    report,
    wish_of,
)

__all__ = [
    "AGAIN",
    "UNCAPPED",
    "Cap",
    "Carried",
    "Ending",
    "Run",
    "Spent",
    "begin",
    "cancel",
    "carry_out",
    "create",
    "find",
    "finish",
    "pause",
    "queue_again",
    "raise_cap",
    "report",
    "wish_of",
]
