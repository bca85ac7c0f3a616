"""The operator's door: the `afterglow` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from learning_core import db
from learning_core.cli import experimenting, files, keys, optimizing, prompts, releasing
from learning_core.errors import LearningError, Unavailable

app = typer.Typer(
    name="afterglow",
    help="The learning system for AI agents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(keys.app, name="key")
app.add_typer(files.import_app, name="import")
app.add_typer(files.export_app, name="export")
app.add_typer(prompts.app, name="prompt")
app.add_typer(experimenting.app, name="simulate")
app.command("optimize")(optimizing.optimize)
app.command("releases")(releasing.releases)
app.command("approve")(releasing.approve)
app.command("promote")(releasing.promote)
app.command("roll-back")(releasing.roll_back)

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
