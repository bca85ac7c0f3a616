from learning_core.datasets.content import DatasetExample
from learning_core.prompts.sealing import Subject, gives_away

QUESTION = "When does a company with monthly reporting file its VAT return for the month of May?"


def sealed(**more):
    given = {"id": "e1", "agent_id": "a", "example_type": "positive", "split": "test", "group": "e1"}
    return DatasetExample(**given | {"input_text": QUESTION, "expected_output": "On the tenth."} | more)


def test_the_example_itself_its_conversation_and_its_like_give_it_away():
    subjects = [
        Subject("e1", "Something else entirely?", None),
        Subject("e2", "And what about June, then?", "c1"),
        Subject(None, QUESTION.upper(), None),
        Subject(None, f"Good morning! {QUESTION} Thanks.", None),
        Subject("e3", "Who signs the annual accounts of a cooperative?", "c2"),
        Subject(None, None, None),
    ]
    assert gives_away(subjects, [sealed(conversation="c1")]) == [True, True, True, True, False, False]


def test_what_belongs_to_no_conversation_shares_none():
    assert gives_away([Subject(None, "Another question, of course?", None)], [sealed()]) == [False]


def test_long_questions_are_compared_by_their_beginnings():
    long = QUESTION + " ".join(f"word{number}" for number in range(4_000))
    assert gives_away([Subject(None, long[:4_000], None)], [sealed(input_text=long)]) == [True]


def test_nothing_sealed_gives_nothing_away():
    assert gives_away([Subject("e1", QUESTION, "c1")], []) == [False]
    assert gives_away([], [sealed()]) == []
