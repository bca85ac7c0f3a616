"""Every question is asked of real rows and answered a second time with pandas."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from learning_core.db import frame
from learning_core.feedback import queries
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import SCALES, FeedbackType, IssueCategory
from learning_core.feedback.executions import record
from learning_core.feedback.queries import Window
from tests.factories import execution, feedback

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
WINDOW = Window.last(30, NOW.date())
AGENTS = ["alpha", "beta", "gamma"]
RATINGS = [f"rating_{level}" for level in range(1, 6)]

COUNT, TEXT, FLOAT, FLAG, TIME, STARS, OBJECT = (
    "int64",
    "str",
    "float64",
    "bool",
    "datetime64[us, UTC]",
    "Int16",
    "object",
)
DAY = OBJECT  # dates

QUESTIONS = {
    "agents": (
        lambda session: queries.agents(session, WINDOW),
        {"agent": TEXT, "feedback_count": COUNT, "last_feedback_day": DAY},
    ),
    "executions_by_day": (
        lambda session: queries.executions_by_day(session, None, WINDOW),
        {"day": DAY, "agent": TEXT, "execution_count": COUNT, "error_count": COUNT}
        | {"latency_ms_mean": FLOAT, "cost_usd_sum": FLOAT},
    ),
    "stars": (
        lambda session: queries.stars(session, None, WINDOW),
        {"scale": TEXT} | {f"star_{level}": COUNT for level in range(1, 6)},
    ),
    "by_version": (
        lambda session: queries.by_version(session, "alpha", WINDOW),
        {"prompt_version": TEXT}
        | dict.fromkeys(["feedback_count", "thumbs_up", "thumbs_down", *RATINGS], COUNT)
        | {"correction_count": COUNT, "any_issue_count": COUNT, "first_day": DAY, "last_day": DAY},
    ),
    "by_period": (
        lambda session: queries.by_period(session, None, WINDOW, 7, 2),
        {"agent": TEXT, "first_day": DAY, "last_day": DAY}
        | dict.fromkeys(["feedback_count", "thumbs_up", "thumbs_down", *RATINGS], COUNT)
        | {"correction_count": COUNT, "any_issue_count": COUNT},
    ),
    "newest_versions": (
        lambda session: queries.newest_versions(session, WINDOW),
        {"agent": TEXT, "prompt_version": TEXT} | dict.fromkeys(RATINGS, COUNT),
    ),
    "top_issues": (
        lambda session: queries.top_issues(session, WINDOW),
        {"agent": TEXT, "category": TEXT, "issue_count": COUNT},
    ),
    "comments": (
        lambda session: queries.comments(session, None, WINDOW),
        {
            "id": TEXT,
            "execution": TEXT,
            "agent": TEXT,
            "text": TEXT,
            "created_at": TIME,
            "is_complaint": FLAG,
        },
    ),
    "latest": (
        lambda session: queries.latest(session, None, WINDOW),
        {"id": TEXT, "created_at": TIME, "agent": TEXT, "execution": TEXT, "feedback_type": TEXT}
        | {"rating": STARS, "issue_categories": OBJECT, "feedback_text": TEXT, "correction_text": TEXT}
        | {"user_id": TEXT, "prompt_version": TEXT, "source": TEXT},
    ),
    "execution": (
        lambda session: queries.execution(session, "e0"),
        {"id": TEXT, "agent": TEXT, "prompt_version": TEXT, "user_id": TEXT, "input_text": TEXT}
        | {"output_text": TEXT, "error": TEXT, "latency_ms": FLOAT, "cost_usd": FLOAT, "created_at": TIME}
        | {"reported": FLAG},
    ),
    "feedback_of_execution": (
        lambda session: queries.feedback_of_execution(session, "e0"),
        {"id": TEXT, "created_at": TIME, "feedback_type": TEXT}
        | dict.fromkeys(SCALES, STARS)
        | {"issue_categories": OBJECT, "feedback_text": TEXT, "correction_text": TEXT, "user_id": TEXT}
        | {"source": TEXT, "withdrawn": FLAG}
        | dict.fromkeys(["example_id", "example_type", "example_status"], TEXT),
    ),
    "pending_examples": (
        lambda session: queries.pending_examples(session),
        {"agent": TEXT, "example_type": TEXT, "example_count": COUNT},
    ),
}


def tell(session) -> None:
    """Store 300 executions of three agents over 40 days and what people said about some of them."""
    rng = random.Random(7)
    executions, reactions = [], []
    for n in range(300):
        served = NOW - timedelta(days=rng.randrange(40), minutes=rng.randrange(700))
        shared = {"execution_id": f"e{n}", "agent_id": rng.choice(AGENTS), "created_at": served}
        reported = rng.random() < 0.9
        if reported:
            broke = rng.random() < 0.1
            executions.append(
                execution(
                    **shared,
                    prompt_version=rng.choice(["v1", "v2", "v3", None]),
                    latency_ms=None if broke else rng.uniform(100, 3_000),
                    cost_usd=None if rng.random() < 0.2 else "0.0025",
                    error="It broke." if broke else None,
                )
            )
        for person in range(rng.choice([0, 1, 1, 2]) if n else 2):
            kind = rng.choice(list(FeedbackType))
            reactions.append(
                feedback(
                    **shared,
                    id=f"f{n}-{person}",
                    user_id=f"u{person}",
                    feedback_type=kind,
                    rating=rng.choice([None, 1, 2, 3, 4, 5]) or (3 if kind == "star_rating" else None),
                    dimensions={scale: rng.choice([None, 1, 5]) for scale in SCALES[1:]},
                    issue_categories=rng.sample(list(IssueCategory), rng.choice([0, 0, 1, 2])),
                    feedback_text=rng.choice([None, "", "Too slow.", "Thanks!"]),
                    correction_text="Better." if kind == "correction" else None,
                )
            )
    record(session, executions)
    collect(session, reactions, "api")
    for entry in reactions[::17]:
        withdraw(session, entry.id)


@pytest.fixture
def told(transaction):
    """A transaction in which the rows have been told."""
    with transaction() as session:
        tell(session)
        yield session


@pytest.fixture
def ever(told) -> pd.DataFrame:
    """The feedback in force, one row per piece."""
    rows = frame(
        told,
        """
        SELECT feedback.*, agents.key AS agent, executions.key AS execution
        FROM agent_feedback AS feedback
        JOIN agents ON agents.id = feedback.agent_id
        JOIN executions ON executions.id = feedback.execution_id
        WHERE withdrawn_at IS NULL ORDER BY feedback.created_at DESC, feedback.key
        """,
    )
    rows["day"] = rows.created_at.dt.date
    return rows


@pytest.fixture
def said(ever) -> pd.DataFrame:
    """The feedback in force within the window, one row per piece."""
    return ever[ever.day.between(*WINDOW)]


@pytest.fixture
def served(told) -> pd.DataFrame:
    """The reported executions within the window, one row each."""
    rows = frame(
        told,
        """
        SELECT executions.*, CAST(cost_usd AS float8) AS cost, agents.key AS agent
        FROM executions JOIN agents ON agents.id = agent_id WHERE reported_at IS NOT NULL
        """,
    )
    rows["day"] = rows.created_at.dt.date
    return rows[rows.day.between(*WINDOW)]


def counts(rows: pd.DataFrame) -> dict[str, int]:
    """Count rows of feedback anew, under the names the queries use."""
    return {
        "feedback_count": len(rows),
        "thumbs_up": int((rows.feedback_type == "thumbs_up").sum()),
        "thumbs_down": int((rows.feedback_type == "thumbs_down").sum()),
        **{f"rating_{level}": int((rows.rating == level).sum()) for level in range(1, 6)},
        "rating_count": int(rows.rating.count()),
        "rating_sum": int(rows.rating.sum()),
        "correction_count": int(rows.correction_text.notna().sum()),
        "comment_count": int(rows.feedback_text.notna().sum()),
        "any_issue_count": int((rows.issue_categories.str.len() > 0).sum()),
    }


def assert_counted(found: pd.DataFrame, expected: list[tuple[dict, pd.DataFrame]]) -> None:
    """Assert that each row found holds the given values and the counts of the given rows."""
    wanted = [where | counts(rows) for where, rows in expected]
    assert found.to_dict("records") == [{name: row[name] for name in found.columns} for row in wanted]


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_has_its_columns_and_types_when_there_are_rows(told, name):
    ask, kinds = QUESTIONS[name]
    answer = ask(told)
    assert len(answer)
    assert {column: str(kind) for column, kind in answer.dtypes.items()} == kinds


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_has_its_columns_and_types_when_there_are_none(transaction, name):
    ask, kinds = QUESTIONS[name]
    with transaction() as session:
        answer = ask(session)
    assert len(answer) == (5 if name == "stars" else 0)
    assert {column: str(kind) for column, kind in answer.dtypes.items()} == kinds


def test_every_question_is_asked_here():
    public = {
        name
        for name, thing in vars(queries).items()
        if getattr(thing, "__module__", "") == queries.__name__ and callable(thing)
    }
    assert public == {*QUESTIONS, "Window", "agent_exists", "totals", "issue_counts"}


# ---------------------------------------------------------------- windows


def test_a_window_is_whole_days_with_both_ends_and_one_of_the_same_length_before_it():
    window = Window.last(7, date(2026, 3, 10))
    assert window == (date(2026, 3, 4), date(2026, 3, 10))
    assert window.days == 7
    assert window.before() == (date(2026, 2, 25), date(2026, 3, 3))
    assert window.before().days == 7


@pytest.mark.parametrize(
    ("moment", "counted"),
    [
        ("2026-03-02T00:00:00Z", 1),
        ("2026-03-01T23:59:59.999999Z", 0),
        ("2026-03-31T23:59:59.999999Z", 1),
        ("2026-04-01T00:00:00Z", 0),
        ("2026-03-01T23:30:00-01:00", 1),
    ],
)
def test_a_day_begins_and_ends_at_midnight_utc_in_counts_and_rows_alike(transaction, moment, counted):
    with transaction() as session:
        collect(session, [feedback(created_at=moment, feedback_text="Said.")], "api")
        assert queries.totals(session, None, WINDOW).feedback_count == counted
        assert len(queries.latest(session, None, WINDOW)) == counted
        assert len(queries.comments(session, None, WINDOW)) == counted


# ---------------------------------------------------------------- figures


def test_agents_are_ranked_by_what_was_said_in_the_window(told, said):
    found = queries.agents(told, WINDOW)
    ranked = said.agent.value_counts()
    assert dict(zip(found.agent, found.feedback_count, strict=True)) == dict(ranked)
    assert list(found.feedback_count) == sorted(ranked, reverse=True)
    ever = frame(
        told,
        "SELECT agents.key AS agent, max(agent_feedback.created_at) AS last FROM agent_feedback"
        " JOIN agents ON agents.id = agent_id WHERE withdrawn_at IS NULL GROUP BY 1",
    )
    last = dict(zip(ever.agent, ever["last"].dt.date, strict=True))
    assert dict(zip(found.agent, found.last_feedback_day, strict=True)) == last


def test_an_agent_exists_once_it_was_mentioned(told):
    assert queries.agent_exists(told, "alpha")
    assert not queries.agent_exists(told, "Alpha")


@pytest.mark.parametrize("agent", ["alpha", None, "nobody"])
def test_totals_count_the_rows(told, said, served, agent):
    reactions, answers = (rows if agent is None else rows[rows.agent == agent] for rows in (said, served))
    found = queries.totals(told, agent, WINDOW)._asdict()
    assert found.pop("latency_ms_sum") == pytest.approx(answers.latency_ms.sum())
    assert found.pop("cost_usd_sum") == pytest.approx(answers.cost.sum())
    expected = counts(reactions) | {
        "execution_count": len(answers),
        "error_count": answers.error.count(),
        "latency_count": answers.latency_ms.count(),
        "cost_count": answers.cost.count(),
    }
    for told_elsewhere in ("rating_count", "rating_sum", "comment_count"):
        del expected[told_elsewhere]
    assert found == expected


def test_days_count_the_executions_of_each_agent(told, served):
    found = queries.executions_by_day(told, None, WINDOW).set_index(["day", "agent"])
    groups = served.groupby(["day", "agent"])
    assert found.index.equals(groups.size().index)
    assert list(found.execution_count) == list(groups.size())
    assert list(found.error_count) == list(groups.error.count())
    assert list(found.latency_ms_mean) == pytest.approx(list(groups.latency_ms.mean()), nan_ok=True)
    assert list(found.cost_usd_sum) == pytest.approx(list(groups.cost.sum()))


def test_stars_count_each_scale(told, said):
    found = queries.stars(told, None, WINDOW)
    assert list(found.scale) == list(SCALES)
    for row in found.itertuples():
        given = [int((said[row.scale] == level).sum()) for level in range(1, 6)]
        assert list(row[2:]) == given


def test_versions_count_the_rows_of_each(told, said):
    rows = said[said.agent == "alpha"]
    expected = [
        ({"prompt_version": version, "first_day": group.day.min(), "last_day": group.day.max()}, group)
        for version, group in rows.groupby("prompt_version")
    ]
    expected.sort(key=lambda pair: (pair[0]["first_day"], pair[0]["prompt_version"]))
    assert_counted(queries.by_version(told, "alpha", WINDOW), expected)


def test_a_version_begins_with_feedback_that_is_still_in_force(transaction):
    days = [NOW - timedelta(days=n) for n in (5, 3, 1)]
    with transaction() as session:
        collect(session, [feedback(id=f"f{n}", created_at=day) for n, day in enumerate(days)], "api")
        withdraw(session, "f0")
        withdraw(session, "f2")
        [version] = queries.by_version(session, "tax-advisor", WINDOW).itertuples()
    assert version.first_day == version.last_day == days[1].date()


@pytest.mark.parametrize("agent", ["alpha", None, "nobody"])
def test_issues_are_counted_now_and_in_the_window_before(told, ever, agent):
    window = Window.last(15, WINDOW.until)
    rows = ever if agent is None else ever[ever.agent == agent]
    now, before = (rows[rows.day.between(*when)] for when in (window, window.before()))
    named, named_before = (group.issue_categories.explode().value_counts() for group in (now, before))
    expected = [
        (issue, named[issue], len(now), named_before.get(issue, 0), len(before)) for issue in named.index
    ]
    expected.sort(key=lambda row: (-row[1], row[0]))
    assert queries.issue_counts(told, agent, window) == expected


def test_the_top_issue_of_an_agent_is_its_most_frequent(told, said):
    named = said.explode("issue_categories").groupby("agent").issue_categories.value_counts()
    for row in queries.top_issues(told, WINDOW).itertuples():
        assert row.issue_count == named[row.agent].max() == named[row.agent, row.category]


def test_periods_are_counted_back_from_the_end_and_the_rest_of_the_agents_taken_together(told, said):
    ranked = sorted(AGENTS, key=lambda agent: (-(said.agent == agent).sum(), agent))
    expected = []
    for agents, name in ((ranked[:1], ranked[0]), (ranked[1:], None)):
        for periods_ago in reversed(range(4)):  # 30 days hold four whole weeks
            last = WINDOW.until - timedelta(days=7 * periods_ago)
            first = last - timedelta(days=6)
            rows = said[said.agent.isin(agents) & said.day.between(first, last)]
            if len(rows):
                expected.append(({"agent": name, "first_day": first, "last_day": last}, rows))
    found = queries.by_period(told, None, WINDOW, 7, 1)
    found["agent"] = found.agent.astype(object).where(found.agent.notna(), None)
    assert_counted(found, expected)


def test_periods_of_every_agent_singly_add_up_to_those_of_all(told):
    singly = queries.by_period(told, None, WINDOW, 10, None)
    assert set(singly.agent) == set(AGENTS)
    together = queries.by_period(told, None, WINDOW, 10, 0)
    assert together.agent.isna().all()
    assert list(together.feedback_count) == list(singly.groupby("last_day").feedback_count.sum())


def test_the_two_newest_versions_are_those_first_rated_last(told, said):
    rated = said[(said.prompt_version != "") & said.rating.notna()]
    expected = []
    for agent, rows in rated.groupby("agent"):
        first_days = rows.groupby("prompt_version").day.min()
        newest = sorted(first_days.index, key=lambda version: (first_days[version], version))[-2:]
        expected += [
            ({"agent": agent, "prompt_version": version}, rows[rows.prompt_version == version])
            for version in newest
        ]
    assert_counted(queries.newest_versions(told, WINDOW), expected)


# ---------------------------------------------------------------- rows


def test_comments_come_newest_first_and_know_complaints(told, said):
    rows = said[said.feedback_text.notna()]
    found = queries.comments(told, None, WINDOW)
    assert list(found.id) == list(rows.key)
    complaint = (
        rows.feedback_type.isin(["thumbs_down", "report_issue"])
        | (rows.rating.fillna(5) <= 2)
        | (rows.issue_categories.str.len() > 0)
    )
    assert list(found.is_complaint) == list(complaint)
    assert list(queries.comments(told, None, WINDOW, limit=3).id) == list(rows.key[:3])
    of_beta = queries.comments(told, "beta", WINDOW)
    assert list(of_beta.text) == list(rows[rows.agent == "beta"].feedback_text)


NARROWED = {
    "everything": ({}, lambda rows: rows.key.notna()),
    "two types": (
        {"feedback_types": ["correction", "thumbs_up"]},
        lambda rows: rows.feedback_type.isin(["correction", "thumbs_up"]),
    ),
    "a category": (
        {"category": "tone"},
        lambda rows: rows.issue_categories.map(lambda named: "tone" in named),
    ),
    "comments": ({"with_comment": True}, lambda rows: rows.feedback_text.notna()),
}


@pytest.mark.parametrize(("wish", "keep"), NARROWED.values(), ids=NARROWED)
@pytest.mark.parametrize("agent", [None, "gamma"])
def test_the_latest_feedback_is_what_was_asked_for_newest_first(told, said, agent, wish, keep):
    rows = said[keep(said)]
    rows = rows if agent is None else rows[rows.agent == agent]
    assert len(rows)
    found = queries.latest(told, agent, WINDOW, limit=1_000, **wish)
    assert list(found.id) == list(rows.key)
    assert list(found.execution) == list(rows.execution)
    assert list(found.issue_categories) == list(rows.issue_categories)
    assert list(queries.latest(told, agent, WINDOW, limit=2, **wish).id) == list(rows.key[:2])


def test_wishes_for_the_latest_feedback_narrow_each_other(told, said):
    rows = said[said.feedback_text.notna() & (said.feedback_type == "report_issue")]
    wish = {"feedback_types": ["report_issue"], "with_comment": True}
    assert list(queries.latest(told, None, WINDOW, **wish).id) == list(rows.key)


def test_an_execution_is_found_by_its_key_whether_reported_or_not(transaction):
    with transaction() as session:
        record(session, [execution(execution_id="e1", user_id="u1", error="It broke.", cost_usd="0.25")])
        collect(session, [feedback(execution_id="e2")], "api")
        reported, known = (queries.execution(session, key).iloc[0] for key in ("e1", "e2"))
        assert queries.execution(session, "e3").empty
    assert (reported.agent, reported.user_id, reported.error) == ("tax-advisor", "u1", "It broke.")
    assert (reported.latency_ms, reported.cost_usd, reported.reported) == (900, 0.25, True)
    assert not known.reported
    assert known[["prompt_version", "input_text", "output_text", "error"]].isna().all()


def test_all_that_was_said_about_an_execution_is_shown_also_what_was_withdrawn(transaction):
    times = [NOW - timedelta(minutes=n) for n in range(3)]
    with transaction() as session:
        collect(session, [feedback(id="f0", execution_id="e1", created_at=times[0], rating=5)], "api")
        correction = feedback(
            id="f1", execution_id="e1", created_at=times[1], feedback_type="correction", correction_text="No."
        )
        report = feedback(id="f2", execution_id="e1", created_at=times[2], feedback_type="report_issue")
        collect(session, [correction, report, feedback(execution_id="e2")], "api")
        withdraw(session, "f2")
        found = queries.feedback_of_execution(session, "e1")
        assert queries.feedback_of_execution(session, "e3").empty
    assert list(found.id) == ["f2", "f1", "f0"]
    assert list(found.withdrawn) == [True, False, False]
    assert list(found.example_type.fillna("none")) == ["failure", "correction", "none"]
    assert list(found.example_status.fillna("none")) == ["withdrawn", "pending", "none"]


def test_examples_that_wait_are_counted_by_agent_and_kind(told):
    rows = frame(
        told,
        "SELECT agents.key AS agent, example_type, status"
        " FROM learning_examples JOIN agents ON agents.id = agent_id",
    )
    waiting = rows[rows.status == "pending"].value_counts(["agent", "example_type"])
    found = queries.pending_examples(told)
    assert found.set_index(["agent", "example_type"]).example_count.to_dict() == waiting.to_dict()
    assert found.example_count.is_monotonic_decreasing
