"""The operator's door: the `afterglow` command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from learning_core import access, db, rowfiles
from learning_core.access import Caller
from learning_core.errors import LearningError, Unavailable
from learning_core.feedback import importing as feedback_importing
from learning_core.review import importing as review_importing
from learning_core.schema import Organization, Role

app = typer.Typer(
    name="afterglow",
    help="The learning system for AI agents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
key_app = typer.Typer(help="API keys: what lets an agent in.", no_args_is_help=True)
app.add_typer(key_app, name="key")

EXIT_CODE_OF_AN_ERROR = 2


def main() -> None:
    """Run the command line; an error of the domain is one line and exit code 2."""
    try:
        app()
    except LearningError as error:
        typer.secho(f"afterglow: {error.message}", err=True, fg="red")
        if isinstance(error, Unavailable) and error.__cause__:
            typer.echo(str(error.__cause__).splitlines()[0], err=True)
        sys.exit(EXIT_CODE_OF_AN_ERROR)


@app.command()
def serve() -> None:
    """Start pages, API and worker; honours HOST, PORT, AFTERGLOW_HOME and DATABASE_URL."""
    from learning_core import serving  # the other commands need none of it

    serving.serve()


@app.command()
def migrate() -> None:
    """Bring the database to the newest version."""
    db.migrate()
    typer.echo("The database is up to date.")


@app.command()
def worker() -> None:
    """Run background jobs until stopped; any number of workers may run."""
    from learning_core import jobs  # the other commands need none of it

    jobs.work()


@app.command()
def demo(
    name: Annotated[str, typer.Option(help="Name of the organisation to create.")] = "Demo",
    seed: Annotated[int, typer.Option(help="Another seed tells another story.")] = 7,
) -> None:
    """Create an organisation with a simulated story of 90 days."""
    from learning_core.demo.load import create_demo  # brings the story's texts

    db.migrate()
    organization = create_demo(name, seed=seed)
    typer.echo(
        f"Created {organization.name!r} ({organization.slug}), simulated from the first row to the last."
    )


import_app = typer.Typer(help="Bring in what was collected elsewhere.", no_args_is_help=True)
app.add_typer(import_app, name="import")


File = Annotated[Path, typer.Argument(help="JSONL or CSV; columns as in docs/importing.md.")]
OrganizationOption = Annotated[str, typer.Option(help="Short name of the organisation.")]


@import_app.command("feedback")
def import_feedback(file: File, organization: OrganizationOption) -> None:
    """Import feedback from a file: resumable, idempotent, bad rows go to a reject file."""
    _import(file, feedback_importing.import_feedback(_organization(organization).id, file))


@import_app.command("examples")
def import_examples(file: File, organization: OrganizationOption) -> None:
    """Import examples to be reviewed, or approved elsewhere: a dataset exported as jsonl, for one."""
    _import(file, review_importing.import_examples(_operator(_organization(organization)), file))


@import_app.command("annotations")
def import_annotations(file: File, organization: OrganizationOption) -> None:
    """Import experts' judgements of examples that are there already."""
    _import(file, review_importing.import_annotations(_operator(_organization(organization)), file))


def _import(file: Path, steps: Iterator[rowfiles.Progress]) -> None:
    with RichProgress(*PROGRESS_COLUMNS) as bar:
        task = bar.add_task("Importing", total=file.stat().st_size if file.exists() else None, stored=0)
        for progress in steps:
            bar.update(task, completed=progress.bytes_read, stored=progress.stored)
    typer.echo(f"Stored {progress.stored:,} of {progress.rows_read:,} rows.")
    if progress.ignored_columns:
        typer.echo(f"Ignored the columns: {', '.join(sorted(progress.ignored_columns)[:20])}.")
    if progress.rejected:
        typer.echo(f"Rejected {progress.rejected:,} rows; see {rowfiles.rejects_of(file)}.")


PROGRESS_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TaskProgressColumn(),
    TextColumn("{task.fields[stored]:,} rows"),
    TimeRemainingColumn(),
)


export_app = typer.Typer(help="Take out what trainers need.", no_args_is_help=True)
app.add_typer(export_app, name="export")


@export_app.command("dataset")
def export_dataset(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    organization: OrganizationOption,
    version: Annotated[int | None, typer.Option(help="Its version; without, the newest.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test; without, all.")] = None,
    format: Annotated[
        str, typer.Option(help="jsonl, openai_chat, trl_sft, trl_dpo, csv or parquet.")
    ] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="The file; without, a name that tells what it is.")] = None,
) -> None:
    """Write a frozen version to a file. A look at the test split is put on record."""
    from learning_core.datasets import download  # brings numpy, which the other commands do without

    caller = _operator(_organization(organization))
    path, left_out = download.save(caller, name, version, split, format, out)
    typer.echo(f"Wrote {path}.")
    if left_out:
        typer.echo(f"Left out {left_out:,} examples that this format cannot express.")


@app.command()
def doctor() -> None:
    """Check database, extensions, roles, policies and disk, and say what to do."""
    from learning_core import diagnosis  # the other commands need none of it

    findings = diagnosis.examine()
    for finding in findings:
        mark, colour = ("ok ", "green") if finding.healthy else ("BAD", "red")
        typer.secho(f"{mark}  {finding.subject}: ", fg=colour, nl=False)
        typer.echo(finding.says)
    if not all(finding.healthy for finding in findings):
        raise typer.Exit(1)


# ---------------------------------------------------------------- keys


@key_app.command("create")
def create_key(
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.ENGINEER,
    days: Annotated[int | None, typer.Option(help="Days until it expires; without, it does not.")] = None,
) -> None:
    """Create an API key and print it alone on the last line; it is shown this once."""
    found = _organization(organization)
    with db.organization_session(found.id) as session:
        key = access.create_key(session, _operator(found), name, role, days_valid=days)
    typer.echo(f"Key {name!r} for {found.name}, role {role}. Keep it safe, it is not shown again:", err=True)
    typer.echo(key)


@key_app.command("list")
def list_keys(organization: OrganizationOption) -> None:
    """List the API keys of an organisation."""
    found = _organization(organization)
    with db.reading_session(found.id) as session:
        known = access.keys(session)
    typer.echo(known.to_string(index=False) if len(known) else "There are no keys yet.")


@key_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's shown prefix, or its name.")],
    organization: OrganizationOption,
) -> None:
    """Revoke an API key."""
    found = _organization(organization)
    with db.organization_session(found.id) as session:
        access.revoke_key(session, _operator(found), key)
    typer.echo(f"Revoked {key}; servers that remember it forget it within seconds.")


def _organization(slug: str) -> Organization:
    db.migrate()
    with db.shared_session() as session:
        return access.find_organization(session, slug)


def _operator(organization: Organization) -> Caller:
    return Caller(organization.id, "command line", Role.ADMIN)
