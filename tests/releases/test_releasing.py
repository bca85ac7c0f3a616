from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from learning_core import cli
from learning_core.schema import ReleaseStatus
from tests.releases.rollouts import AGENT, Manner, fix_salt, settle


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def run(bench, organization):
    """Run a command for the test's organisation: `run("roll-back", "--agent", AGENT)`."""

    def call(*arguments):
        where = (*arguments, "--organization", organization.slug)
        return CliRunner().invoke(cli.app, where, catch_exceptions=False).stdout

    return call


def test_the_command_line_shows_what_a_release_waits_for(bench, run):
    assert run("releases") == "Nothing was released yet.\n"
    release_id = bench.start()
    assert "Release 1 of tax-advisor: it has just begun." in run("releases")
    bench.live(0.1, {"v1": Manner(), "v2": Manner()}, users=1000)
    bench.advance(release_id, 1)
    said = run("releases", "--agent", AGENT)
    assert "tax-advisor  release 1  v2 after v1  rolling out, 5 % of the users  " in said
    assert "tax-advisor  release 0  v1  completed, 100 % of the users  " in said
    assert "At 5 % for about 23 hours more at least." in said
    assert "ok        Failed answers: " in said


def test_a_release_is_approved_sent_on_and_taken_back_at_the_command_line(bench, run):
    release_id = bench.start()
    why = ("--agent", AGENT, "--reason", "Urgent.")
    assert run("approve", *why) == "Approved release 1 of tax-advisor, v2.\n"
    assert run("promote", *why) == "Release 1 of tax-advisor, v2, is at 25 % now.\n"
    assert run("promote", *why) == "Release 1 of tax-advisor, v2, is at 100 % now.\n"
    assert bench.gets() == "v2"
    assert run("roll-back", *why) == "Took back release 1 of tax-advisor: users get v1 again.\n"
    found = bench.find(release_id)
    assert (found.status, found.end_reason) == (ReleaseStatus.ROLLED_BACK, "Urgent.")
    assert bench.gets() == "v1"


def test_a_release_that_has_arrived_is_taken_back_too(bench, run):
    release_id = bench.start()
    for _ in range(2):
        run("promote", "--agent", AGENT, "--reason", "Urgent.")
    bench.live(25 * 24 - 2, {"v2": Manner()}, users=100)
    bench.advance(release_id, 25 * 24 + 400)
    assert bench.find(release_id).status is ReleaseStatus.COMPLETED
    assert "users get v1 again" in run("roll-back", "--agent", AGENT)


def test_there_has_to_be_something_to_take_back(bench, organization, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["afterglow", "roll-back", "--agent", AGENT, "--organization", organization.slug]
    )
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "No release of 'tax-advisor' is on its way or in production." in capsys.readouterr().err
