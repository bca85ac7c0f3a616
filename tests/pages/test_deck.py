import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.components import deck

FILES = Path(deck.__file__).parent


def entry(seq: object, **changes: object) -> dict[str, Any]:
    return {"seq": seq, "deck": "this", "id": f"example {seq}", "action": "approve"} | changes


@pytest.mark.parametrize(
    ("original", "proposed", "marks"),
    [
        ("a b c", "a b c", [[0, "a b c"]]),
        ("You should pay.", "You must pay.", [[0, "You "], [-1, "should"], [1, "must"], [0, " pay."]]),
        ("pay", "pay 22,000", [[-1, "pay"], [1, "pay 22,000"]]),
        ("one two", "one", [[-1, "one two"], [1, "one"]]),
        ("one. two.", "one.", [[0, "one"], [-1, ". two"], [0, "."]]),
        ("a\n", "b\n", [[-1, "a"], [1, "b"], [0, "\n"]]),
        (None, "b", None),
        ("a", None, None),
        ("", "b", None),
    ],
)
def test_marks_say_what_was_struck_out_and_put_in(
    original: str | None, proposed: str | None, marks: list[list[Any]] | None
) -> None:
    assert deck.marks(original, proposed) == marks


words = st.lists(st.sampled_from(["tax", "due", " ", "\n", ".", "مرحبا", "👩\u200d👧", "<b>"])).map("".join)


@given(words.filter(bool), words.filter(bool))
def test_marks_hold_both_texts_whole(original: str, proposed: str) -> None:
    marks = deck.marks(original, proposed)
    assert marks is not None
    assert "".join(text for op, text in marks if op <= 0) == original
    assert "".join(text for op, text in marks if op >= 0) == proposed
    assert all(text for _, text in marks)
    assert all(one[0] != other[0] for one, other in pairwise(marks))


def test_unapplied_entries_come_once_and_in_order() -> None:
    log = [entry(5), entry(4), entry(3), entry(4, action="reject"), entry(6, action="undo")]
    assert [(e["seq"], e["action"]) for e in deck.unapplied(log, "this", 3)] == [
        (4, "reject"),
        (5, "approve"),
        (6, "undo"),
    ]


@pytest.mark.parametrize(
    "log",
    [
        None,
        "text",
        {"seq": 1},
        [None, "text", 7, []],
        [entry("1")],
        [entry(True)],
        [entry(1.0)],
        [entry(1, id=7)],
        [entry(1, action="delete")],
        [entry(1, action=["approve"])],
        [entry(1, deck="the one before")],
        [entry(0)],
    ],
)
def test_what_this_deck_did_not_send_is_left_out(log: object) -> None:
    assert deck.unapplied(log, "this", 0) == []


def test_a_deck_shows_before_anything_was_decided() -> None:
    def script() -> None:
        from pages.components import deck

        data = {"deck": "this", "owner": "o/p", "mode": "review", "acked": 0, "items": []}
        assert deck.sent("deck", "this", 0) == []
        assert deck.show_deck(data, key="deck") == []

    assert not AppTest.from_function(script, default_timeout=60).run().exception


def test_the_browser_part_makes_no_markup_of_data_and_fetches_nothing() -> None:
    written = "\n".join(path.read_text(encoding="utf-8") for path in FILES.glob("*.[jhc]*s*"))
    script = "".join((FILES / name).read_text(encoding="utf-8") for name in ("log.js", "deck.js"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", script
    )
    assert not re.search(r"https?://|@import|url\(|fetch\(", written)
    assert not re.search(r"<script|\son\w+=", (FILES / "deck.html").read_text(encoding="utf-8"))
