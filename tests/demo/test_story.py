"""The demo story is always the same, plausible throughout, and holds what there is to discover."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from statistics import mean, median

import pytest

from learning_core.demo import texts
from learning_core.demo.cast import AGENTS, find_incident
from learning_core.demo.figures import Figures
from learning_core.demo.story import EXECUTIONS, tell
from learning_core.feedback.entries import FeedbackType
from learning_core.feedback.themes import Comment, find_themes

NOW = datetime(2026, 3, 18, 10, 30, tzinfo=UTC)
AGENT_IDS = [agent.agent_id for agent in AGENTS]
TOPICS = [topic for agent_id in AGENT_IDS for topic in texts.topics(agent_id)]


@pytest.fixture(scope="module")
def story():
    return list(tell(NOW))


@pytest.fixture(scope="module")
def pairs(story):
    return [(execution, feedback) for execution, reactions in story for feedback in reactions]


def _ratings(pairs, agent_id, version=None):
    return [
        feedback.rating
        for execution, feedback in pairs
        if feedback.rating and execution.agent_id == agent_id and version in (None, execution.prompt_version)
    ]


def _comments(pairs, agent_id):
    return [
        Comment(feedback.feedback_text, _is_complaint(feedback), feedback.id)
        for execution, feedback in pairs
        if feedback.feedback_text and execution.agent_id == agent_id
    ]


def _is_complaint(feedback):
    return (
        feedback.feedback_type in (FeedbackType.THUMBS_DOWN, FeedbackType.REPORT_ISSUE)
        or bool(feedback.issue_categories)
        or (feedback.rating or 5) <= 2
    )


def _phrases(comments):
    return {theme.phrase for theme in find_themes(comments, limit=12)}


def test_the_same_seed_and_time_tell_the_same_story(story):
    assert list(tell(NOW)) == story


def test_the_zone_of_the_time_does_not_matter(story):
    assert list(tell(NOW.astimezone(timezone(timedelta(hours=9))))) == story


def test_another_seed_tells_another_story(story):
    assert list(tell(NOW, seed=8)) != story


def test_executions_come_in_time_order_within_ninety_days(story):
    times = [execution.created_at for execution, _ in story]
    assert times == sorted(times)
    assert NOW - timedelta(days=90) <= times[0] < NOW - timedelta(days=88)
    assert NOW - timedelta(days=1) < times[-1] < NOW


def test_feedback_comes_after_its_execution_and_before_now(pairs):
    assert all(execution.created_at < feedback.created_at < NOW for execution, feedback in pairs)


def test_feedback_belongs_to_its_execution_and_comes_from_the_person_who_asked(pairs):
    for execution, feedback in pairs:
        assert feedback.execution_id == execution.execution_id
        assert (feedback.agent_id, feedback.user_id) == (execution.agent_id, execution.user_id)


def test_ids_are_unique_and_say_that_they_are_invented(story, pairs):
    executions = [execution.execution_id for execution, _ in story]
    feedback = [feedback.id for _, feedback in pairs]
    for ids in (executions, feedback):
        assert len(set(ids)) == len(ids)
        assert all(key.startswith("demo-") for key in ids)


def test_there_is_enough_to_look_at(story, pairs):
    assert abs(len(story) - EXECUTIONS) < 0.05 * EXECUTIONS
    assert 0.2 < len(pairs) / len(story) < 0.35
    assert {feedback.feedback_type for _, feedback in pairs} == set(FeedbackType)
    assert 120 <= len({execution.user_id for execution, _ in story}) <= 150
    assert len({execution.input_text for execution, _ in story}) > 4_000


def test_a_few_people_ask_much_more_than_most(story):
    asked = sorted(Counter(execution.user_id for execution, _ in story).values())
    assert asked[-1] > 4 * median(asked)


def test_weekends_are_quiet_and_business_grows(story):
    weekdays = Counter(execution.created_at.weekday() for execution, _ in story)
    assert weekdays[5] + weekdays[6] < 0.05 * len(story)
    early = sum(execution.created_at < NOW - timedelta(days=60) for execution, _ in story)
    late = sum(execution.created_at > NOW - timedelta(days=30) for execution, _ in story)
    assert 1.1 < late / early < 1.8


def test_people_ask_in_office_hours(story):
    at_work = sum(7 <= execution.created_at.hour <= 17 for execution, _ in story)
    assert at_work > 0.9 * len(story)


def test_failed_executions_have_an_error_and_no_output(story):
    assert all((execution.error is None) == (execution.output_text is not None) for execution, _ in story)
    assert 0 < sum(execution.error is not None for execution, _ in story) < 0.03 * len(story)


def test_latency_and_cost_are_plausible(story):
    assert all(100 < execution.latency_ms < 120_000 for execution, _ in story)
    assert all(0.001 < execution.cost_usd < 0.02 for execution, _ in story)


def test_no_name_in_braces_is_left(story, pairs):
    said = [text for execution, _ in story for text in (execution.input_text, execution.output_text)]
    said += [text for _, feedback in pairs for text in (feedback.feedback_text, feedback.correction_text)]
    assert not any("{" in text or "}" in text for text in said if text)


def test_the_tax_advisor_gets_better_with_its_second_version(pairs):
    before, after = (_ratings(pairs, "tax-advisor", version) for version in ("v1", "v2"))
    assert 3.5 < mean(before) < 3.9
    assert 4.0 < mean(after) < 4.4


def test_each_version_takes_over_on_one_day(story):
    for agent_id in AGENT_IDS:
        versions = [execution.prompt_version for execution, _ in story if execution.agent_id == agent_id]
        changes = sum(one != next_one for one, next_one in pairwise(versions))
        assert changes == len(set(versions)) - 1


@pytest.mark.parametrize("now", [NOW + timedelta(days=day) for day in range(7)])
def test_the_incident_lasts_three_working_days_about_three_weeks_ago(now):
    incident = find_incident(now)
    assert (incident.first.weekday(), (incident.last - incident.first).days) == (1, 2)
    assert 17 <= (now.date() - incident.last).days <= 25


def test_the_incident_shows_in_latency_errors_and_complaints(story):
    incident = find_incident(NOW)
    sides = {True: [], False: []}
    for execution, reactions in story:
        if execution.agent_id == incident.agent_id:
            sides[incident.first <= execution.created_at.date() <= incident.last].append(
                (execution, reactions)
            )
    hit, spared = sides[True], sides[False]
    assert median(e.latency_ms for e, _ in hit) > 2 * median(e.latency_ms for e, _ in spared)
    assert mean(e.error is not None for e, _ in hit) > 4 * mean(e.error is not None for e, _ in spared)
    reactions = [feedback for _, reactions in hit for feedback in reactions]
    assert mean(f.rating for f in reactions if f.rating) < 3.2
    assert {"outdated", "incorrect"} <= {category for f in reactions for category in f.issue_categories}
    assert any("wrong vat rate" in (f.feedback_text or "").lower() for f in reactions)


def test_the_complaints_have_themes(pairs):
    assert {"no source", "too long"} <= _phrases(_comments(pairs, "tax-advisor"))
    assert any("last year's" in phrase for phrase in _phrases(_comments(pairs, "tax-advisor")))
    assert "too long" in _phrases(_comments(pairs, "audit-assistant"))
    assert any("wrong" in phrase for phrase in _phrases(_comments(pairs, "bookkeeping-helper")))


def test_a_correction_changes_only_what_was_wrong(pairs):
    corrections = [(e.output_text, f.correction_text) for e, f in pairs if f.correction_text]
    assert len(corrections) > 40
    for answered, corrected in corrections:
        assert answered != corrected
        kept = set(answered.split()) & set(corrected.split())
        assert len(kept) > 0.4 * len(set(corrected.split()))


def test_there_are_many_topics_and_each_flaw_stands_in_its_answer():
    assert len(TOPICS) >= 40
    for topic in TOPICS:
        for flaw in (*topic.flaws, topic.unsourced, topic.long_winded):
            assert topic.answer.count(flaw.right) == 1
            assert topic.answered_with(flaw) != topic.answer
            assert flaw.comments


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.about)
def test_every_name_in_the_texts_has_a_figure(topic):
    figures = Figures(Random(3), NOW, topic.about)
    said = [*topic.questions, topic.answer, *(flaw.wrong for flaw in topic.flaws)]
    said += [comment for flaw in topic.flaws for comment in flaw.comments]
    said += [remark for remarks in texts.remarks() for remark in remarks]
    assert not any("{" in text.format_map(figures) for text in said)
