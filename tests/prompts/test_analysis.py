from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.datasets.content import DatasetExample
from learning_core.errors import NotFound
from learning_core.feedback import executions
from learning_core.feedback.collect import collect, withdraw
from learning_core.prompts import analysis, remarks
from learning_core.prompts.remarks import Remark, distinct, most_telling
from tests.factories import execution, feedback

AGENT = "tax-advisor"
NOW = datetime.now(UTC)
TODAY = NOW.date()
QUESTIONS = (
    "When does a company with monthly reporting file its VAT return?",
    "Who signs the annual accounts of a cooperative with three directors?",
    "May our client deduct a bicycle that the whole family rides on Sundays?",
    "How long must the delivery notes of a closed bakery be kept in the archive?",
    "Which account takes the rent that was paid for a garage in January?",
)


@pytest.fixture
def say(transaction):
    """Report an execution and what somebody thought of it; return the feedback's key."""

    def one(words=None, question=QUESTIONS[0], version="v1", hours_ago=1, conversation=None, **more):
        at = NOW - timedelta(hours=hours_ago)
        asked = execution(
            prompt_version=version, input_text=question, conversation_id=conversation, created_at=at
        )
        said = feedback(
            **{"feedback_type": "thumbs_down", "created_at": at, "id": f"f-{asked.execution_id}"}
            | more
            | {"execution_id": asked.execution_id, "feedback_text": words}
        )
        with transaction() as session:
            executions.record(session, [asked])
            collect(session, [said], "api")
        return said.id

    return one


@pytest.fixture
def correct(say):
    def one(question, words, **more):
        return say(question=question, feedback_type="correction", correction_text=words, **more)

    return one


@pytest.fixture
def look(transaction):
    def now(agent=AGENT, **more):
        with transaction() as session:
            return analysis.analyse(session, agent, TODAY, **more)

    return now


@pytest.fixture
def change(transaction):
    def run(sql, /, **parameters):
        with transaction() as session:
            return session.execute(text(sql), parameters).rowcount

    return run


def sealed(**more):
    given = {"id": "e1", "agent_id": AGENT, "example_type": "positive", "split": "test", "group": "e1"}
    return DatasetExample(**given | {"input_text": "Nothing like it.", "expected_output": "Yes."} | more)


def quotes(found):
    return [quote["text"] for quote in found.findings()["quotes"]]


# ---------------------------------------------------------------- what is found


def test_an_agent_of_whom_nothing_is_known_is_told_what_is_missing(transaction, look):
    with transaction() as session:
        executions.register_agents(session, {AGENT})
    found = look()
    assert (found.version, found.current, found.issues, found.telling, found.corrections) == (
        None,
        None,
        (),
        (),
        (),
    )
    assert len(found.missing) == 5
    assert json.loads(json.dumps(found.findings()))["overall"]["satisfaction"] is None
    assert found.evidence().quotes == ()


def test_an_agent_nobody_has_heard_of_is_not_found(transaction):
    with transaction() as session, pytest.raises(NotFound, match="no agent 'nobody'"):
        analysis.analyse(session, "nobody", TODAY)


def test_the_version_in_question_is_the_one_in_production(save, say, look):
    say("Too long.", version="v7")
    found = look()
    assert (found.version, found.in_production, found.current.feedback_count) == ("v7", False, 1)
    assert "No prompt version is saved yet" in found.missing[0]
    save("Be brief.")
    found = look()
    assert (found.version, found.in_production) == ("v1", True)
    assert (found.current.execution_count, found.overall.execution_count) == (0, 1)
    assert "No answer was reported under 'v1'" in found.missing[0]


def test_an_agent_that_does_not_name_its_version_is_told_so(say, look):
    say("Too long.", version=None)
    assert any("does not say under which" in words for words in look().missing)


def test_issues_carry_share_n_interval_change_and_words(say, look):
    say("The threshold is last year's.", issue_categories=["outdated"], rating=1)
    say("Where does this come from?", issue_categories=["incomplete", "outdated"])
    say("Fine.", feedback_type="thumbs_up")
    say("Old story.", issue_categories=["tone"], hours_ago=40 * 24)
    outdated, incomplete = look().findings()["issues"]
    assert (outdated["category"], outdated["count"], outdated["share"]["n"]) == ("outdated", 2, 3)
    assert outdated["share"]["low"] < outdated["share"]["value"] < outdated["share"]["high"]
    assert outdated["change"]["value"] == pytest.approx(2 / 3)
    assert [quote["text"] for quote in outdated["quotes"]] == [
        "The threshold is last year's.",
        "Where does this come from?",
    ]
    assert [quote["text"] for quote in incomplete["quotes"]] == ["Where does this come from?"]
    quote = outdated["quotes"][0]
    assert (quote["rating"], quote["categories"]) == (1, ["outdated"])
    assert quote["execution"].startswith("execution-")
    assert quote["feedback"] == f"f-{quote['execution']}"


def test_complaints_come_the_most_severe_first_and_each_said_once(say, look):
    say("Mildly unhappy with the tone of it.", hours_ago=1)
    say("The amount is plainly wrong again!", hours_ago=9, feedback_type="report_issue", rating=1)
    say("the amount is plainly WRONG, again", hours_ago=2)
    say("Could not follow the second step.", hours_ago=5, rating=2)
    say("Splendid.", feedback_type="thumbs_up", rating=5)
    say("Long ago.", hours_ago=24 * 31)
    assert quotes(look()) == [
        "The amount is plainly wrong again!",
        "Could not follow the second step.",
        "Mildly unhappy with the tone of it.",
    ]


def test_what_was_taken_back_is_not_quoted(say, look, transaction):
    key = say("Take this back.")
    with transaction() as session:
        withdraw(session, key)
    assert quotes(look()) == []


def test_approved_corrections_come_first_and_nothing_that_was_not_corrected(correct, say, look, change):
    correct(QUESTIONS[0], "On the tenth.", hours_ago=3)
    correct(QUESTIONS[1], "All three of them.", hours_ago=2)
    correct(QUESTIONS[2], "On the tenth of the following month.", hours_ago=1)  # as it was given
    say("Wrong.", question=QUESTIONS[3], feedback_type="report_issue")
    correct(QUESTIONS[4], "Account 4210.")
    aged = "UPDATE learning_examples SET created_at = now() - interval '31 days' WHERE input_text = :asked"
    change(aged, asked=QUESTIONS[4])
    assert change(APPROVE, question=QUESTIONS[0], words="On the tenth of June.") == 1
    found = look()
    assert [(one.question, one.corrected, one.approved) for one in found.corrections] == [
        (QUESTIONS[0], "On the tenth of June.", True),
        (QUESTIONS[1], "All three of them.", False),
    ]
    [first, _] = found.evidence().corrections
    assert (first.given, first.corrected) == ("On the tenth of the following month.", "On the tenth of June.")
    assert first.example_id == str(found.corrections[0].example_id)
    change("UPDATE learning_examples SET gold_decision = 'approve' WHERE status = 'approved'")
    assert [one.question for one in look().corrections] == [QUESTIONS[1]]


APPROVE = """
UPDATE learning_examples SET status = 'approved', approved_output = :words WHERE input_text = :question
"""


def test_rules_and_guidelines_belong_to_it_and_only_accepted_rules_teach(say, look, change):
    say("Too long.")
    change(RULE, statement="Say when.", status="accepted")
    change(RULE, statement="Say why.", status="proposed")
    change(RULE, statement="Say nothing.", status="dismissed")
    change("UPDATE agents SET guidelines = 'Be exact.'")
    found = look()
    assert [(rule.statement, rule.accepted) for rule in found.rules] == [
        ("Say when.", True),
        ("Say why.", False),
    ]
    evidence = found.evidence()
    assert [rule.statement for rule in evidence.rules] == ["Say when."]
    assert evidence.guidelines == "Be exact."
    assert found.findings()["has_guidelines"]


RULE = """
INSERT INTO correction_rules (agent_id, statement, status, proposed_by, example_ids)
SELECT id, :statement, :status, 'ada', ARRAY(SELECT id FROM learning_examples) FROM agents
"""


def test_themes_are_found_in_what_was_written(say, look):
    for word in ("books", "hotels", "rent"):
        say(f"No source given for {word}.")
    assert any("source" in theme["phrase"] for theme in look().findings()["themes"])


def test_a_look_at_one_agent_sees_nothing_of_another_or_of_another_organisation(
    say, look, other_organization, transaction
):
    say("Mine.")
    with transaction() as session:
        collect(session, [feedback(agent_id="other", feedback_type="thumbs_down", feedback_text="No")], "api")
    assert (quotes(look()), quotes(look("other"))) == (["Mine."], ["No"])
    with db.organization_session(other_organization.id) as session, pytest.raises(NotFound):
        analysis.analyse(session, AGENT, TODAY)


# ---------------------------------------------------------------- what proposals may learn from


def test_evidence_carries_the_ids_of_what_it_quotes(say, transaction):
    key = say("The threshold is last year's.", issue_categories=["outdated"], rating=2)
    with transaction() as session:
        row = session.execute(text("SELECT id FROM agent_feedback WHERE key = :key"), {"key": key}).one()
        found = analysis.evidence(session, AGENT, sealed=())
    [quote] = found.feedback
    assert (quote.feedback_id, quote.category, quote.stars) == (str(row.id), "outdated", 2)
    assert quote.execution.startswith("execution-")
    [issue] = found.issues
    assert (issue.category, issue.share, issue.n, issue.quotes) == ("outdated", 1.0, 1, (quote,))


def test_nothing_that_gives_a_sealed_example_away_is_evidence(say, correct, look, change, transaction):
    say("It is due on the tenth!", question=QUESTIONS[0])
    say("Two of three suffice.", question="And for partnerships?", conversation="c1")
    say("The family rides it: no.", question=QUESTIONS[2])
    correct(QUESTIONS[3], "Six years.")
    correct(QUESTIONS[4], "Account 4210.")
    change("UPDATE learning_examples SET key = 'e4' WHERE input_text = :asked", asked=QUESTIONS[3])
    found = look(
        sealed=[
            sealed(input_text=QUESTIONS[0].upper()),
            sealed(id="e2", conversation="c1"),
            sealed(id="e4"),
        ]
    )
    assert quotes(found) == ["The family rides it: no."]
    assert [one.question for one in found.corrections] == [QUESTIONS[4]]
    assert len(quotes(look())) == 3


def test_a_rule_that_rests_on_sealed_examples_alone_is_no_evidence(correct, look, change):
    correct(QUESTIONS[3], "Six years.")
    change("UPDATE learning_examples SET key = 'e4'")
    change(RULE, statement="Say how long.", status="accepted")
    assert len(look(sealed=[sealed()]).rules) == 1
    assert look(sealed=[sealed(id="e4")]).rules == ()


# ---------------------------------------------------------------- what is kept


def test_a_look_is_kept_once_a_day_without_anybody_s_words(say, correct, transaction):
    say("A secret complaint.", issue_categories=["tone"])
    correct(QUESTIONS[1], "All three of them.")
    with transaction() as session:
        assert analysis.keep(session, AGENT, TODAY).overall.feedback_count == 2
        analysis.keep(session, AGENT, TODAY)
        [(day, stored)] = session.execute(text("SELECT day, findings::text FROM prompt_analyses")).all()
    assert day == TODAY
    for words in ("secret", "All three", QUESTIONS[1], "On the tenth"):
        assert words not in stored


def test_the_latest_look_shows_the_words_of_those_who_stand_by_them(say, correct, transaction, change):
    kept, gone = say("Keep this one.", issue_categories=["tone"]), say("Take that back, please.")
    correct(QUESTIONS[1], "All three of them.")
    correct(QUESTIONS[3], "Six years.")
    with transaction() as session:
        looked = analysis.keep(session, AGENT, TODAY)
        fresh = analysis.latest(session, AGENT)
    assert fresh.pop("created_at")
    assert fresh == looked.findings()
    with transaction() as session:
        withdraw(session, gone)
    change("UPDATE learning_examples SET status = 'rejected' WHERE input_text = :asked", asked=QUESTIONS[3])
    with transaction() as session:
        found = analysis.latest(session, AGENT)
    assert [(quote["feedback"], quote["text"]) for quote in found["quotes"]] == [(kept, "Keep this one.")]
    assert [quote["text"] for quote in found["issues"][0]["quotes"]] == ["Keep this one."]
    assert [pair["corrected"] for pair in found["corrections"]] == ["All three of them."]


def test_the_newest_day_is_the_latest_and_silence_is_not_kept(say, transaction):
    with transaction() as session:
        executions.record(session, [execution()])
        assert analysis.keep(session, AGENT, TODAY) is None
        assert analysis.latest(session, AGENT) is None
    say("Too long.", hours_ago=24)
    with transaction() as session:
        analysis.keep(session, AGENT, TODAY - timedelta(days=1))
        analysis.keep(session, AGENT, TODAY)
        assert analysis.latest(session, AGENT)["until"] == TODAY.isoformat()


# ---------------------------------------------------------------- bounds


def test_only_the_newest_are_read(say, correct, look, monkeypatch):
    for number in range(4):
        say(QUESTIONS[number], hours_ago=number + 1)
        correct(QUESTIONS[number], f"Better {number}.", hours_ago=number + 1)
    monkeypatch.setattr(remarks, "COMMENTS", 2)
    assert quotes(look()) == list(QUESTIONS[:2])
    monkeypatch.setattr(remarks, "READ", 1)
    assert len(quotes(look())) <= 1
    assert len(look().corrections) == 1


def test_a_comment_is_as_severe_as_what_came_along_with_it():
    def remark(kind, rating=None, categories=()):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return Remark(None, "", "x", categories, rating, kind, True, at)

    told = [
        remark("thumbs_up", 5),
        remark("star_rating", 2),
        remark("thumbs_down", 2),
        remark("report_issue", None, ("tone",)),
        remark("report_issue", 1, ("tone",)),
    ]
    assert [one.severity for one in told] == [0, 1, 2, 3, 5]
    assert [one.severity for one in most_telling(told)] == [5, 3, 2, 1, 0]


def test_comments_without_words_say_nothing():
    at = datetime.combine(date(2026, 1, 1), datetime.min.time(), UTC)
    told = [Remark(None, "", words, (), 1, "thumbs_down", True, at) for words in ("!!!", "No.", "no")]
    assert [one.text for one in distinct(told)] == ["No."]
