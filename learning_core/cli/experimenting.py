"""Commands by which anybody can check how often experiments on their traffic are decided, and how wrongly."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from learning_core import db
from learning_core.cli.operators import OrganizationOption, find_organization
from learning_core.errors import InvalidInput

if TYPE_CHECKING:
    from learning_core.experiments.simulation.outcomes import Outcome, Source

app = typer.Typer(
    help="Try out how often experiments are decided, and how often wrongly.", no_args_is_help=True
)

DAYS_OF_A_WEEK = 7

USUAL = {"thumbs": (0.70, 0.05), "stars": (4.0, 0.15), "latency": (2000.0, -200.0)}
"""Mean and effect of each measure where none are given."""

Share = Annotated[float, typer.Option(help="Share (0-1) of the users who meet the change.")]
Days = Annotated[int, typer.Option(help="How long an experiment runs.")]
Method = Annotated[
    str, typer.Option(help="always_valid: decided on any day; planned_end: planned to end after these days.")
]
Icc = Annotated[float, typer.Option(help="How much alike the ratings of one user are (0-1).")]
Weighted = Annotated[bool, typer.Option(help="Weight users by what their ratings tell.")]
Experiments = Annotated[
    int | None, typer.Option(min=1, help="How many; without, 2,000, or fewer where traffic is heavy.")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed, other experiments.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures for programs.")]


@app.command("experiment")
def simulate_experiment(
    measure: Annotated[str, typer.Option(help="thumbs, stars or latency (ms).")] = "thumbs",
    base: Annotated[float | None, typer.Option(help="Its mean; without, 0.7, 4.0 or 2000.")] = None,
    effect: Annotated[
        float | None, typer.Option(help="What the change adds; without, 0.05, 0.15 or -200.")
    ] = None,
    users: Annotated[float, typer.Option(help="New users a day.")] = 120,
    ratings: Annotated[float, typer.Option(help="Ratings a user leaves a day, on average.")] = 0.35,
    spread: Annotated[
        float, typer.Option(help="How unequal users are in that: standard deviation by mean.")
    ] = 1.2,
    icc: Icc = 0.2,
    returning: Annotated[float, typer.Option(help="Share (0-1) of the users who had rated before.")] = 0.0,
    share: Share = 0.5,
    days: Days = 28,
    method: Method = "always_valid",
    weighted: Weighted = False,
    prior: Annotated[bool, typer.Option(help="Use what returning users had said before.")] = True,
    experiments: Experiments = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Simulate experiments on made-up traffic, without any difference and with one.

    Each is looked at every day, with the very statistics that real experiments are judged by.
    """
    from learning_core.experiments.simulation.scenarios import (  # brings numpy, which others do without
        Measure,
        Scenario,
    )

    measured = Measure(_one_of(measure, list(Measure), "measure"))
    if min(spread, ratings) <= 0:
        raise InvalidInput("Users rate, and not all alike: both are above 0.", field="spread")
    mean = USUAL[measured][0] if base is None else base
    added = USUAL[measured][1] if effect is None else effect
    sources: list[Source] = [
        Scenario(
            measure=measured,
            base=mean,
            effect=one,
            icc=icc,
            users_per_day=users,
            ratings_per_day=ratings,
            activity_shape=1 / spread**2,
            treatment_share=share,
            returning=returning,
            days=days,
        )
        for one in dict.fromkeys((0.0, added))
    ]
    terms = {"icc": icc, "weighted": weighted, "prior": prior}
    _simulate(sources, method, terms, experiments, seed, as_json)


@app.command("replay")
def simulate_replay(
    agent: Annotated[str, typer.Argument(help="The agent's own key.")],
    organization: OrganizationOption,
    metric: Annotated[str, typer.Option(help="What its experiments are decided by.")] = "thumbs_up_share",
    effect: Annotated[float, typer.Option(help="What the change adds, in the metric's unit.")] = 0.05,
    icc: Icc = 0.15,
    share: Share = 0.5,
    days: Days = 28,
    method: Method = "always_valid",
    weighted: Weighted = False,
    experiments: Experiments = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Simulate experiments on what an agent's users did in the last days, split by chance again and again."""
    from learning_core.experiments.simulation import daily

    found = find_organization(organization)
    with db.reading_session(found.id) as session:
        sources: list[Source] = [
            daily.replay(session, agent, metric, datetime.now(UTC), days, effect=one, treatment_share=share)
            for one in dict.fromkeys((0.0, effect))
        ]
    _simulate(sources, method, {"icc": icc, "weighted": weighted}, experiments, seed, as_json)


def _simulate(
    sources: list[Source],
    method: str,
    terms: dict[str, Any],
    experiments: int | None,
    seed: int,
    as_json: bool,
) -> None:
    from learning_core.experiments.simulation import repetition
    from learning_core.experiments.terms import Method

    terms |= {"method": Method(_one_of(method, list(Method), "method"))}
    outcomes = []
    with RichProgress(*PROGRESS_COLUMNS, console=Console(stderr=True), transient=True) as bar:
        for source in sources:
            design = repetition.design_for(source, **terms)
            number = repetition.affordable(source) if experiments is None else experiments
            task = bar.add_task(
                "With a difference" if source.effect else "Without a difference", total=number
            )
            tell = partial(_move, bar, task)
            outcomes.append(repetition.simulate(source, design, number, seed, tell))
    if as_json:
        typer.echo(json.dumps([_figures(outcome) for outcome in outcomes]))
    else:
        _tell(outcomes)


def _move(bar: RichProgress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


PROGRESS_COLUMNS = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())


def _one_of(given: str, known: list[str], field: str) -> str:
    if given not in known:
        raise InvalidInput(f"{given!r} is not one of {', '.join(map(str, known))}.", field=field)
    return given


def _figures(outcome: Outcome) -> dict[str, Any]:
    days = outcome.by_day()
    return {
        "effect": outcome.source.effect,
        "experiments": outcome.experiments,
        "decided": outcome.decided()._asdict(),
        "ordinary_test": outcome.ordinary()._asdict(),
        "wrong_direction": outcome.wrong_direction._asdict(),
        "covered": outcome.covered._asdict(),
        "mean_day": outcome.mean_day,
        "mean_estimate": outcome.mean_estimate if outcome.decided().value else None,
        "by_day": days.to_dict("records"),
        "words": outcome.words(),
    }


def _tell(outcomes: list[Outcome]) -> None:
    from learning_core.experiments.amounts import amount
    from learning_core.experiments.metrics import METRICS

    console = Console(soft_wrap=True, highlight=False, markup=False)
    source = outcomes[0].source
    metric = METRICS[source.metric]
    console.print(
        f"{metric.words}: {amount(source.base, metric.unit)};"
        f" about {source.expected_ratings:,.0f} {metric.counted} in {source.days} days;"
        f" {source.treatment_share * 100:.0f} % of the users meet the change; a look every day.\n"
    )
    console.print(_table(outcomes))
    for outcome in outcomes:
        console.print()
        for sentence in outcome.words():
            console.print(sentence)


def _table(outcomes: list[Outcome]) -> Table:
    """Return a row for each week's last day and the last one: how many were decided by then."""
    last = outcomes[0].source.days
    table = Table("Decided by", box=None, pad_edge=False)
    for outcome in outcomes:
        table.add_column(outcome.title, justify="right")
    for day in sorted({*range(DAYS_OF_A_WEEK, last, DAYS_OF_A_WEEK), last}):
        found = [outcome.decided(day) for outcome in outcomes]
        table.add_row(
            f"day {day}",
            *(f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})".replace("%", " %") for one in found),
        )
    return table
