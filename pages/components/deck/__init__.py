"""The review deck: an expert judges example after example without waiting for the server.

The browser holds the next examples, shows the next one the moment a decision is made, and sends what was
decided as a growing log; it keeps the log until the server has acknowledged it, across reloads and broken
connections. A page reads `sent`, applies it, and mounts `show_deck` with what is then left. Nothing here
decides what a judgement means.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components import texts

ACTIONS = {"approve", "needs_revision", "reject", "skip", "flag", "undo", "a", "b", "tie"}

_HERE = Path(__file__).parent
_deck = st.components.v2.component(
    "afterglow_deck",
    html=(_HERE / "deck.html").read_text(encoding="utf-8"),
    css=(_HERE / "deck.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("log.js", "deck.js")),
)


def sent(key: str, deck: str, acked: int) -> list[dict[str, Any]]:
    """Return the decisions that arrived with this run: applied before `show_deck`, its data are fresh."""
    state = st.session_state.get(key)
    return unapplied(state.get("log") if isinstance(state, dict) else None, deck, acked)


def show_deck(data: dict[str, Any], *, key: str) -> list[dict[str, Any]]:
    """Show the deck; return the decisions of this deck that `data["acked"]` does not cover yet."""
    state = _deck(data=data, key=key, default={"log": []}, on_log_change=_nothing)
    return unapplied(state.log, data["deck"], data["acked"])


def unapplied(log: object, deck: str, acked: int) -> list[dict[str, Any]]:
    """Return a deck's entries above `acked`, each once and in order, without what no deck of ours sends.

    After a server's restart the browser sends the log of the deck before; it renumbers it for the new one
    as soon as it hears of it, so that here the old one is left out.
    """
    entries = log if isinstance(log, list) else []
    ours = {entry["seq"]: entry for entry in entries if _is_entry(entry) and entry["deck"] == deck}
    return [ours[seq] for seq in sorted(ours) if seq > acked]


def marks(original: str | None, proposed: str | None) -> list[list[Any]] | None:
    """Return how a proposed text differs, word by word: [0, kept], [-1, struck out], [1, put in]."""
    if not original or not proposed:
        return None
    pairs = texts.differences(original, proposed)
    changes = [change for pair in pairs for change in _changes(*pair) if change[1]]
    return [[op, "".join(text for _, text in run)] for op, run in groupby(changes, key=itemgetter(0))]


def _changes(old: str, new: str) -> Iterator[tuple[int, str]]:
    """Tell what became of a run of words; white space with which both end was neither struck nor put in."""
    if old == new:
        yield 0, new
        return
    ends = zip(reversed(old), reversed(new), strict=False)
    kept = sum(1 for _ in takewhile(lambda end: end[0] == end[1] and end[0].isspace(), ends))
    yield -1, old[: len(old) - kept]
    yield 1, new[: len(new) - kept]
    yield 0, new[len(new) - kept :]


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    named = all(isinstance(entry.get(name), str) for name in ("deck", "id", "action"))
    return named and type(entry.get("seq")) is int and entry["action"] in ACTIONS


def _nothing() -> None:
    """Streamlit keeps a state only if something listens to it."""
