from __future__ import annotations

import json
import sys

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from learning_core import access, cli, db
from learning_core.access import Caller
from learning_core.datasets.curation import Rules
from learning_core.datasets.versions import freeze
from learning_core.schema import Role


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


QUESTIONS = ("Is the VAT return due monthly?", "May I deduct my bicycle?", "Who signs the annual accounts?")


def test_a_dataset_goes_out_and_comes_back_the_same(organization, other_organization, run, tmp_path):
    examples = [
        {
            "id": f"e{number}",
            "agent_id": "tax",
            "input_text": text,
            "expected_output": "Yes.",
            "quality_score": 0.9,
        }
        for number, text in enumerate(QUESTIONS)
    ]
    file = tmp_path / "examples.jsonl"
    file.write_text("\n".join(map(json.dumps, examples)))
    assert "Stored 3 of 3" in run("import", "examples", str(file), "--organization", organization.slug).stdout
    first = frozen(organization)
    out = tmp_path / "out.jsonl"
    exported = run("export", "dataset", "vat", "--organization", organization.slug, "--out", str(out))
    assert f"Wrote {out}." in exported.stdout
    assert len(out.read_text().splitlines()) == 3
    run("import", "examples", str(out), "--organization", other_organization.slug)
    assert frozen(other_organization).content_hash == first.content_hash


def frozen(organization):
    admin = Caller(organization.id, "ada", Role.ADMIN)
    with db.organization_session(organization.id) as session:
        return freeze(session, admin, "vat", Rules())


def test_an_export_names_the_formats_and_splits_there_are(organization, run, fail, tmp_path):
    where = ("--organization", organization.slug)
    file = tmp_path / "examples.jsonl"
    example = {"id": "e1", "agent_id": "a", "input_text": "q", "expected_output": "a", "quality_score": 1}
    file.write_text(json.dumps(example))
    run("import", "examples", str(file), *where)
    frozen(organization)
    assert fail("export", "dataset", "vat", *where, "--format", "xml")[1].count("openai_chat") == 1
    assert "train, validation, test" in fail("export", "dataset", "vat", *where, "--split", "dev")[1]
    assert "no version 9" in fail("export", "dataset", "vat", *where, "--version", "9")[1]


def test_annotations_are_imported_and_told_what_was_not_taken(organization, run, tmp_path):
    examples, judged = tmp_path / "examples.jsonl", tmp_path / "annotations.jsonl"
    examples.write_text(json.dumps({"id": "e1", "agent_id": "a", "input_text": "q", "expected_output": "a"}))
    rows = [{"example_id": name, "annotator_id": "ada", "approved": True} for name in ("e1", "e2")]
    judged.write_text("\n".join(map(json.dumps, rows)))
    run("import", "examples", str(examples), "--organization", organization.slug)
    said = run("import", "annotations", str(judged), "--organization", organization.slug).stdout
    assert "Stored 1 of 2 rows." in said
    assert "Rejected 1" in said


def test_prompts_go_out_and_come_in_and_are_labelled(organization, other_organization, run, tmp_path):
    here, there = (("--organization", each.slug) for each in (organization, other_organization))
    first, second = tmp_path / "first.md", tmp_path / "second.txt"
    first.write_text("Be brief.")
    second.write_text("Name the section.")
    said = run("prompt", "import", "team/tax", str(first), *here).stdout
    assert said == "Added v1 to team/tax; 0 were there already.\nproduction is v1.\n"
    assert "Added v2" in run("prompt", "import", "team/tax", str(second), *here).stdout
    assert (
        "Added nothing to team/tax; 1 were" in run("prompt", "import", "team/tax", str(second), *here).stdout
    )
    said = run("prompt", "label", "team/tax", "production", "v2", *here).stdout
    assert said == "production of team/tax is v2 (number 2).\n"
    for name in ("out.jsonl", "out.json"):
        out = tmp_path / name
        assert run("prompt", "export", "team/tax", "--out", str(out), *here).stdout == f"Wrote {out}.\n"
    assert "Added v1, v2" in run("prompt", "import", "tax", str(tmp_path / "out.json"), *there).stdout
    run("prompt", "label", "tax", "production", "1", *there)
    said = run("prompt", "import", "tax", str(tmp_path / "out.jsonl"), *there).stdout
    assert "2 were there already" in said
    assert "Left as they are: production." in said


def test_an_export_of_prompts_names_its_file_after_the_agent(organization, run, tmp_path, monkeypatch, fail):
    monkeypatch.chdir(tmp_path)
    where = ("--organization", organization.slug)
    (tmp_path / "first.md").write_text("Be brief.")
    run("prompt", "import", "team/tax", "first.md", *where)
    assert run("prompt", "export", "team/tax", *where).stdout == "Wrote team-tax-prompts.jsonl.\n"
    assert json.loads((tmp_path / "team-tax-prompts.jsonl").read_text())["key"] == "v1"
    assert fail("prompt", "export", "team/tax", "--out", "x.yaml", *where)[1].endswith("jsonl or json.\n")
    assert "no agent 'nobody'" in fail("prompt", "export", "nobody", *where)[1]
    assert "has no version 'v9'" in fail("prompt", "label", "team/tax", "production", "v9", *where)[1]


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
