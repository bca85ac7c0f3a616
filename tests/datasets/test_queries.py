import pytest

from learning_core.datasets import queries
from learning_core.datasets.curation import Rules


@pytest.fixture
def ask(transaction):
    def answer(question, *given, **more):
        with transaction() as session:
            return question(session, *given, **more)

    return answer


def test_preview_counts_what_would_be_selected_by_type(approve, ask):
    approve(3, quality_score=0.8)
    approve(1, quality_score=0.9, example_type="edge_case", human_verified=False, agent_id="other")
    found = ask(queries.preview, Rules())
    assert found.columns.tolist() == [
        "example_type",
        "example_count",
        "verified_count",
        "quality",
        "agent_count",
    ]
    assert found.values.tolist() == [["positive", 3, 3, pytest.approx(0.8), 1], ["edge_case", 1, 0, 0.9, 1]]
    assert ask(queries.preview, Rules(minimum_quality=0.85))["example_count"].tolist() == [1]
    assert ask(queries.preview, Rules(agents=("nobody",))).empty


def test_sample_shows_the_newest_first(approve, ask):
    approve(1, created_at="2026-01-01T00:00:00Z", input_text="old")
    approve(1, created_at="2026-02-01T00:00:00Z", input_text="new")
    found = ask(queries.sample, Rules())
    assert found["input_text"].tolist() == ["new", "old"]
    assert {"id", "agent", "expected_output", "quality", "human_verified"} <= set(found.columns)
    assert len(ask(queries.sample, Rules(), limit=1)) == 1


def test_what_can_be_chosen_from_is_what_is_approved(approve, ask, judge_twice):
    approve(2, domain="vat")
    approve(1, agent_id="other")
    judge_twice(agent="nothing approved")
    assert ask(queries.approved_count) == 3
    assert ask(queries.agents) == ["other", "tax-advisor"]
    assert ask(queries.domains) == ["vat"]


def test_versions_are_listed_newest_first_and_by_agent(approve, freeze, ask):
    approve(2)
    freeze("one")
    approve(2, agent_id="other")
    freeze("two")
    assert [row.name for row in ask(queries.versions)] == ["two", "one"]
    assert [row.name for row in ask(queries.versions, "other")] == ["two"]
    assert ask(queries.versions, "nobody") == []


def test_members_and_composition_tell_what_a_version_holds(approve, freeze, ask):
    approve(8, original_output="Before.")
    approve(4, example_type="edge_case")
    version = freeze()
    found = ask(queries.composition, version.id)
    assert found.columns.tolist() == ["example_type", "split", "example_count", "pair_count"]
    assert found["example_type"].iloc[0] == "correction"
    counts = found.groupby("example_type")[["example_count", "pair_count"]].sum()
    assert counts.loc["correction"].tolist() == [8, 8]
    assert counts.loc["edge_case"].tolist() == [4, 0]
    rows = ask(queries.members, version.id, None)
    assert len(rows) == 12
    assert set(rows["split"]) == {"train", "validation", "test"}
    trained = ask(queries.members, version.id, "train", limit=3)
    assert len(trained) == 3
    assert set(trained["split"]) == {"train"}
    assert trained["quality"].tolist() == [0.9] * 3
