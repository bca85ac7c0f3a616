from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from learning_core.access import act_as
from learning_core.feedback.queries import Window
from learning_core.review.metrics import quality
from learning_core.review.verdicts import quality as quality_of

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def measured(transaction):
    def measure(window: Window | None = None):
        with transaction() as session:
            return quality(session, window or Window.last(7, datetime.now(UTC).date()))

    return measure


def test_the_quality_is_the_mean_over_judgements_with_scores(new_example, judge, ada, measured):
    given = [{"technical_accuracy": 1.0, "clarity": 0.5}, {"completeness": 0.25}]
    for scores in given:
        judge(ada, new_example(), **scores)
    judge(ada, new_example())  # without scores
    found = measured()
    assert found.value == pytest.approx(sum(map(quality_of, given)) / 2)
    assert found.n == 2


def test_nothing_scored_is_no_figure(measured):
    assert measured() is None


def test_remarks_gold_items_and_what_was_undone_do_not_count(
    new_example, judge, act, ada, measured, transaction
):
    from learning_core.review.annotations import undo

    undone, gold = new_example(), new_example(status="rejected", gold_decision="reject", reviews_wanted=0)
    judge(ada, undone, clarity=0.1)
    act(undo, ada, undone)
    judge(ada, gold, "reject", clarity=0.1)
    judge(ada, new_example(), None, clarity=0.1)
    assert measured() is None


def test_only_the_days_of_the_window_count(new_example, judge, ada, measured, transaction):
    judge(ada, new_example(), clarity=1.0)
    with transaction() as session:
        act_as(session, ada, "review")
        session.execute(text("UPDATE expert_annotations SET created_at = now() - interval '10 days'"))
    assert measured() is None
    today = datetime.now(UTC).date()
    assert measured(Window.last(7, today - timedelta(days=7))).n == 1
