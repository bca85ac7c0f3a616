from __future__ import annotations

from sqlalchemy import text

from learning_core import db
from learning_core.review.runs import rank_anew, rank_new, rank_new_of_all


def jobs_of(organization, task: str) -> int:
    with db.shared_session() as session:
        mine = """
            SELECT count(*) FROM procrastinate_jobs
            WHERE args ->> 'organization_id' = :id AND task_name = :task AND status = 'todo'
        """
        return session.execute(text(mine), {"id": str(organization.id), "task": task}).scalar_one()


def test_only_organisations_with_something_new_are_ranked(organization, other_organization, new_example):
    new_example()
    rank_new_of_all(timestamp=0)
    assert jobs_of(organization, "review.rank_new") == 1
    assert jobs_of(other_organization, "review.rank_new") == 0


def test_what_is_like_approved_examples_comes_after_what_is_not(organization, new_example, judge, ada, look):
    question = "Until when must a small company in Vienna file its monthly VAT return, and with which form?"
    judge(ada, new_example(input_text=question))
    like = new_example(input_text=question.replace("Vienna", "Graz"))
    unlike = new_example(input_text="May I deduct the lease payments for an electric car used by my spouse?")
    rank_new(str(organization.id))
    assert look(like).nearness > 0.5
    assert look(unlike).nearness < 0.3
    assert look(unlike).priority > look(like).priority


def test_ranking_ends_when_nothing_is_new_and_may_be_repeated(organization, new_example, look):
    example = new_example()
    rank_new(str(organization.id))
    first = look(example)
    assert first.ranked_at is not None
    rank_new(str(organization.id))
    assert look(example).ranked_at == first.ranked_at


def test_waiting_raises_the_rank_overnight(organization, transaction, new_example, look):
    example = new_example()
    rank_new(str(organization.id))
    before = look(example).priority
    with transaction() as session:
        session.execute(text("UPDATE learning_examples SET created_at = created_at - interval '20 days'"))
    rank_anew(str(organization.id))
    assert look(example).priority > before
