import pytest
from streamlit.testing.v1 import AppTest

from pages.components import texts


def difference(before: str, after: str) -> str:
    return "".join(
        new if old == new else f"[-{old}-]" * bool(old) + f"[+{new}+]" * bool(new)
        for old, new in texts._differences(before.split(" "), after.split(" "))
    )


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a b c", "a b c", "abc"),
        ("a b c", "a x c", "a[-b-][+x+]c"),
        ("a b", "a b c", "ab[+c+]"),
        ("a b c", "c", "[-ab-]c"),
        ("a a a", "a a", "aa[-a-]"),
        ("", "a", "[+a+]"),
    ],
)
def test_a_difference_strikes_out_and_puts_in(before: str, after: str, shown: str) -> None:
    assert difference(before, after) == shown


def test_a_difference_of_long_texts_is_told_without_comparing_words() -> None:
    before, after = (" ".join(f"{letter}{number}" for number in range(9_000)) for letter in "ab")
    assert difference(f"x {before} y", f"x {after} y").count("[") == 2


def test_unchanged_text_is_cut_between_words() -> None:
    assert texts._middle_out("a few words") == "a few words"
    cut = texts._middle_out("abcdefg " * 50)
    assert set(cut.split()) == {"abcdefg", "[…]"}
    assert texts._middle_out("begin " + "x" * 500 + " end") == "begin […] end"
    assert texts._middle_out("x" * 500) == "x" * 80 + "[…]" + "x" * 80


@pytest.mark.parametrize(("score", "points"), [(0, "1"), (0.25, "2"), (0.9, "4.6"), (1, "5")])
def test_a_score_is_told_as_reviewers_give_it(score: float, points: str) -> None:
    assert texts.points(score) == points


def test_a_difference_escapes_both_texts() -> None:
    def script() -> None:
        from pages.components import texts

        texts.word_difference("<b>old</b>", "<i>new</i>")

    app = AppTest.from_function(script, default_timeout=60).run()
    body = app.get("html")[0].proto.body
    assert "<b>" not in body
    assert "<i>" not in body
    assert "&lt;" in body


@pytest.mark.parametrize(("number", "words"), [(0, "0 agents"), (1, "1 agent"), (1_234, "1,234 agents")])
def test_counts_agree_with_their_noun(number: int, words: str) -> None:
    assert texts.count(number, "agent", "agents") == words
