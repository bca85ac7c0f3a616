from __future__ import annotations

import json
import sys

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from learning_core import access, cli, db


@pytest.fixture
def run(database):
    """Run a command within this process: `run("key", "list", "--organization", "acme")`."""
    return lambda *arguments: CliRunner().invoke(cli.app, arguments, catch_exceptions=False)


@pytest.fixture
def fail(database, monkeypatch, capsys):
    """Run a command that must fail as a shell would see it, and return its exit code and what it said."""

    def as_a_shell(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["afterglow", *arguments])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return leaving.value.code, capsys.readouterr().err

    return as_a_shell


def test_a_new_key_stands_alone_on_the_last_line_and_opens_the_organisation(organization, run):
    done = run("key", "create", "--organization", organization.slug, "--name", "agent", "--role", "expert")
    assert done.exit_code == 0
    key = done.stdout.splitlines()[-1]
    assert done.stdout == f"{key}\n"
    assert "not shown again" in done.stderr
    with db.organization_session(organization.id) as session:
        caller = access.verify_key(session, key)
        assert (caller.name, caller.role) == ("key agent", "expert")
        assert access.audit_log(session).actor[0] == "command line"


def test_a_key_may_be_given_days(organization, run, transaction):
    run("key", "create", "--organization", organization.slug, "--name", "agent", "--days", "7")
    with transaction() as session:
        lives = "SELECT round(extract(epoch FROM expires_at - created_at) / 86400) FROM api_keys"
        assert session.execute(text(lives)).scalar() == 7


def test_keys_are_listed_and_revoked_without_ever_being_shown(organization, run):
    where = ("--organization", organization.slug)
    assert "no keys yet" in run("key", "list", *where).stdout
    key = run("key", "create", *where, "--name", "agent").stdout.strip()
    listed = run("key", "list", *where).stdout
    assert "agent" in listed
    assert "active" in listed
    assert key not in listed
    assert run("key", "revoke", "agent", *where).exit_code == 0
    assert "revoked" in run("key", "list", *where).stdout


def test_feedback_is_imported_and_told_what_was_not_taken(organization, run, transaction, tmp_path):
    row = {"execution_id": "e1", "agent_id": "a", "feedback_type": "thumbs_up", "mood": "sunny"}
    file = tmp_path / "feedback.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"rating": 9}) + "\n")
    done = run("import", "feedback", str(file), "--organization", organization.slug)
    assert done.exit_code == 0
    assert "Stored 1 of 2 rows." in done.stdout
    assert "Ignored the columns: mood." in done.stdout
    assert "Rejected 1 rows" in done.stdout
    with transaction() as session:
        assert session.execute(text("SELECT source FROM agent_feedback")).scalars().all() == ["import"]


def test_migrating_what_is_migrated_is_quick_and_says_so(run):
    assert run("migrate").stdout == "The database is up to date.\n"


def test_the_doctor_finds_nothing_wrong(run):
    done = run("doctor")
    assert done.exit_code == 0
    subjects = ["database", "migrations", "extensions", "application role", "row-level security", "disk"]
    assert done.stdout.splitlines() == [f"ok   {subject}: fine" for subject in subjects]


def test_the_doctor_says_what_is_wrong_and_fails(run, monkeypatch):
    from learning_core import diagnosis

    monkeypatch.setattr(diagnosis, "NEEDED_FREE_BYTES", 2**80)
    done = run("doctor")
    assert done.exit_code == 1
    assert "BAD  disk: Only " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("key create --organization nobody --name x", "no organisation 'nobody'"),
        ("key list --organization nobody", "no organisation 'nobody'"),
        ("import feedback missing.jsonl --organization nobody", "no organisation 'nobody'"),
        ("no-such-command", "No such command"),
        ("key create", "Missing option"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(fail, arguments, says):
    code, said = fail(*arguments.split())
    assert code == 2
    assert says in said
    assert "Traceback" not in said


def test_errors_within_an_organisation_are_one_line_too(organization, fail):
    where = ("--organization", organization.slug)
    assert fail("key", "revoke", "nothing", *where) == (2, "afterglow: There is no key 'nothing' in force.\n")
    code, said = fail("key", "create", "--name", " ", *where)
    assert (code, said) == (2, "afterglow: A key needs a name of 1 to 120 characters.\n")
    code, said = fail("import", "feedback", "missing.jsonl", *where)
    assert code == 2
    assert said.endswith("afterglow: missing.jsonl cannot be read: No such file or directory.\n")


def test_a_variable_that_is_no_number_is_named(configure, fail):
    configure(PORT="eighty")
    assert fail("serve") == (2, "afterglow: PORT='eighty' is not a valid int.\n")
