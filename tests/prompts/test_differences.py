from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.llm.templates import Message, Prompt
from learning_core.prompts.differences import MOST_LINES, MOST_WORDS, Block, difference

BEFORE = Prompt.from_text("Answer in one word.\nName the section.\nBe kind.")
AFTER = Prompt.from_text("Answer in two words.\nName the section.\nBe kind.\nNever guess.")


def sides(blocks):
    before = "".join(block.text for block in blocks if block.kind != "added")
    after = "".join(block.text for block in blocks if block.kind != "removed")
    return before, after


def test_only_the_words_that_changed_are_told():
    changed = [block for block in difference(BEFORE, AFTER).blocks if block.kind != "equal"]
    assert changed == [
        Block("removed", "one word.\n"),
        Block("added", "two words.\n"),
        Block("removed", "kind."),
        Block("added", "kind.\nNever guess."),
    ]


def test_the_unified_text_shows_the_changed_lines():
    lines = difference(BEFORE, AFTER).unified.splitlines()
    assert lines[:2] == ["--- before", "+++ after"]
    assert "-Answer in one word." in lines
    assert "+Answer in two words." in lines
    assert " Name the section." in lines


def test_a_prompt_does_not_differ_from_itself():
    found = difference(BEFORE, BEFORE)
    assert (found.is_empty, found.unified) == (True, "")
    assert found.blocks == (Block("equal", BEFORE.text),)


def test_a_message_that_was_added_is_told():
    added = BEFORE.with_examples([("Why?", "Because.")])
    before, after = sides(difference(BEFORE, added).blocks)
    assert (before, after) == (BEFORE.text, added.text)


texts = st.text(alphabet="ab \n\t\u2028\rß", max_size=60)


@settings(deadline=None)
@given(texts, texts)
def test_the_blocks_make_up_both_texts(before, after):
    old, new = (Prompt((Message("user", words),)) for words in (before, after))
    found = difference(old, new)
    assert sides(found.blocks) == (old.text, new.text)
    assert found.is_empty == (old == new)
    assert all(one.kind != other.kind for one, other in zip(found.blocks, found.blocks[1:], strict=False))


def test_what_is_too_long_to_compare_is_told_as_replaced():
    lines = Prompt((Message("user", "\n".join(map(str, range(MOST_LINES + 1)))),))
    words = Prompt((Message("user", " ".join(map(str, range(MOST_WORDS + 1)))),))
    assert sides(difference(lines, words).blocks) == (lines.text, words.text)
    assert difference(lines, words).unified == ""
    other = Prompt((Message("user", words.messages[0].text + " more"),))
    kinds = [block.kind for block in difference(words, other).blocks]
    assert kinds == ["equal", "removed", "added"]  # the first line names the role
