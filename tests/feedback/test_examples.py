from __future__ import annotations

from sqlalchemy import text

from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.executions import record
from tests.factories import execution, feedback

QUESTION, ANSWER = "When is the VAT return due?", "On the tenth of the following month."


def examples(session) -> list:
    return session.execute(
        text(
            "SELECT example_type, status, input_text, original_output, expected_output"
            " FROM learning_examples ORDER BY id"
        )
    ).all()


def test_a_correction_becomes_an_example_that_expects_the_corrected_text(transaction):
    with transaction() as session:
        record(session, [execution(execution_id="e1")])
        correction = feedback(execution_id="e1", feedback_type="correction", correction_text="On the 15th.")
        collect(session, [correction], "api")
        assert examples(session) == [("correction", "pending", QUESTION, ANSWER, "On the 15th.")]


def test_a_reported_failure_becomes_an_example_without_expected_output(transaction):
    with transaction() as session:
        record(session, [execution(execution_id="e1")])
        collect(session, [feedback(execution_id="e1", feedback_type="report_issue")], "api")
        assert examples(session) == [("failure", "pending", QUESTION, ANSWER, None)]


def test_praise_becomes_an_example_for_the_sampled_share_only(transaction):
    with transaction() as session:
        record(session, [execution(execution_id=f"e{n}") for n in range(400)])
        praise = [feedback(id=f"f{n}", execution_id=f"e{n}", rating=4 + n % 2) for n in range(400)]
        collect(session, praise, "api")
        found = examples(session)
        assert {example.expected_output for example in found} == {ANSWER}
        assert 20 <= len(found) <= 60  # a share of 0.1, within about 3.3 standard errors


def test_praise_on_an_unknown_answer_waits_for_the_answer(transaction):
    entries = [feedback(id=f"f{n}", execution_id=f"e{n}", rating=5) for n in range(200)]
    with transaction() as session:
        collect(session, entries, "api")
        assert examples(session) == []
        record(session, [execution(execution_id=f"e{n}") for n in range(200)])
        assert examples(session)


def test_low_ratings_and_bare_thumbs_make_no_example(transaction):
    with transaction() as session:
        record(session, [execution(execution_id=f"e{n}") for n in range(100)])
        collect(session, [feedback(execution_id=f"e{n}", rating=n % 4 or None) for n in range(100)], "api")
        assert examples(session) == []


def test_feedback_sent_again_makes_no_second_example_and_refreshes_the_first(transaction):
    first = feedback(id="f1", feedback_type="correction", correction_text="One.")
    with transaction() as session:
        for corrected in ("One.", "Two."):
            again = first.model_copy(update={"correction_text": corrected})
            collect(session, [again], "api")
        assert [example.expected_output for example in examples(session)] == ["Two."]


def test_withdrawn_feedback_takes_its_pending_example_with_it_and_brings_it_back(transaction):
    entry = feedback(id="f1", feedback_type="correction", correction_text="One.")
    with transaction() as session:
        collect(session, [entry], "api")
        withdraw(session, "f1")
        assert [example.status for example in examples(session)] == ["withdrawn"]
        collect(session, [entry], "api")
        assert [example.status for example in examples(session)] == ["pending"]
