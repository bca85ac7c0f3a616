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
