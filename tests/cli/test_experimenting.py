"""Anybody can check at the command line how often experiments are decided, and how often wrongly."""

import json
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from learning_core import cli, db
from learning_core.experiments.simulation.repetition import design_for, simulate
from learning_core.experiments.simulation.scenarios import Scenario
from learning_core.experiments.terms import Method
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import FeedbackEntry


def run(*arguments):
    return CliRunner().invoke(cli.app, ["simulate", *arguments], catch_exceptions=False)


@pytest.fixture
def fail(monkeypatch, capsys):
    """Run a command that must fail as a shell would see it, and return its exit code and what it said."""

    def as_a_shell(*arguments):
        monkeypatch.setattr(sys, "argv", ["afterglow", "simulate", *arguments])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return leaving.value.code, capsys.readouterr().err

    return as_a_shell


def test_both_kinds_of_experiments_are_told_in_a_table_and_in_words():
    done = run("experiment", "--experiments", "40", "--days", "10", "--effect", "0.2")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Thumbs up: 70.0 %; about 2,310 thumbs in 10 days; 50 % of the users")
    assert [line.split()[1] for line in lines if line.startswith("day ")] == ["7", "10"]
    assert "no difference" in done.stdout
    assert "+20.0 points" in done.stdout
    assert "Of 40 experiments without any difference, " in done.stdout
    assert "Of 40 experiments in which the treatment adds +20.0 points, " in done.stdout


def test_figures_are_those_of_the_simulation():
    options = ("--users", "200", "--icc", "0.3", "--share", "0.4", "--returning", "0.5", "--spread", "1")
    wish = ("--method", "planned_end", "--weighted", "--days", "9", "--effect", "0.1", "--seed", "3")
    found = json.loads(run("experiment", *options, *wish, "--experiments", "30", "--json").stdout)
    scenario = Scenario(
        effect=0.1, users_per_day=200, icc=0.3, treatment_share=0.4, returning=0.5, activity_shape=1, days=9
    )
    design = design_for(scenario, method=Method.PLANNED_END, weighted=True, icc=0.3)
    outcome = simulate(scenario, design, 30, seed=3)
    assert [one["effect"] for one in found] == [0.0, 0.1]
    assert found[1]["decided"] == outcome.decided()._asdict()
    assert found[1]["mean_day"] == outcome.mean_day
    assert found[1]["words"] == outcome.words()
    assert [day["decided"] for day in found[1]["by_day"]] == outcome.by_day()["decided"].tolist()


def test_without_an_effect_there_is_only_one_kind():
    found = json.loads(
        run("experiment", "--effect", "0", "--experiments", "5", "--days", "8", "--json").stdout
    )
    assert len(found) == 1
    assert found[0]["mean_estimate"] is None or found[0]["decided"]["value"] > 0


@pytest.mark.parametrize(("measure", "said"), [("stars", "+0.15 stars"), ("latency", "200 ms")])
def test_other_measures_are_told_in_their_unit(measure, said):
    done = run("experiment", "--measure", measure, "--experiments", "5", "--days", "8")
    assert said in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--measure", "charm"), "thumbs, stars, latency"),
        (("--method", "often"), "always_valid, planned_end"),
        (("--base", "1.5"), "not possible"),
        (("--spread", "0"), "above 0"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(fail, options, said):
    code, error = fail("experiment", *options)
    assert code == 2
    assert said in error


def test_an_agents_own_users_stand_in_for_made_up_ones(organization):
    rng, now = np.random.default_rng(4), datetime.now(UTC)
    entries = [
        FeedbackEntry(
            id=f"f{number}",
            execution_id=f"e{number}",
            agent_id="tax",
            feedback_type="thumbs_up" if rng.random() < 0.7 else "thumbs_down",
            user_id=f"u{int(200 * rng.random() ** 2)}",
            created_at=now - timedelta(days=20 * rng.random()),
        )
        for number in range(1500)
    ]
    with db.organization_session(organization.id) as session:
        collect(session, entries, "api")
    wish = ("--organization", organization.slug, "--experiments", "30", "--days", "21", "--effect", "0.15")
    found = json.loads(run("replay", "tax", *wish, "--json").stdout)
    assert [one["experiments"] for one in found] == [30, 30]
    assert found[0]["decided"]["value"] < 0.2 < found[1]["decided"]["value"]


def test_an_agent_without_users_is_refused(organization, fail):
    code, error = fail("replay", "nobody", "--organization", organization.slug)
    assert (code, "0 users" in error) == (2, True)
