"""Whether a design can answer anything, for the agent that it is about; if not, why, in words.

That its parts do not contradict each other is seen to in `terms`.
"""

from __future__ import annotations

from math import inf

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.errors import InvalidInput
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.statistics.power import Method
from learning_core.experiments.terms import CONTROL, Design, Guardrail
from learning_core.prompts import history

LEAST_DAYS = 7
"""Weekends differ from weekdays: a comparison covers whole weeks."""

LEAST_RATERS = 30
"""With fewer users in a variant the intervals are not what they say."""

MOST_DAYS = 180


def require_sound(session: Session, agent: str, design: Design) -> None:
    """Refuse a design that could not answer anything.

    Raises:
        InvalidInput: naming the field.
        NotFound: there is no such agent, or nothing in production to compare with.
    """
    _require_apart(design)
    _require_time(design)
    for guardrail in design.guardrails:
        _require_bound(design, guardrail)
    _require_versions(session, agent, design)
    require_production_as_control(session, agent, design)


def require_production_as_control(session: Session, agent: str, design: Design) -> None:
    """Refuse a comparison with what users would not meet anyway: a gain over it would be no gain to them.

    Raises:
        InvalidInput: the control is not in production.
        NotFound: nothing is.
    """
    control = next(each for each in design.variants if each.name == CONTROL)
    production = history.labelled(session, agent)
    if str(production.id) != control.version_id:
        reason = (
            f"The control is {control.version}, and users meet {production.key}: compare with that,"
            f" or put {control.version} into production first."
        )
        raise InvalidInput(reason, field="variants")


def require_words(field: str, words: str, longest: int) -> None:
    """Refuse a text that is empty, too long, or cannot be stored.

    Raises:
        InvalidInput: naming the field.
    """
    if not words.strip() or len(words) > longest or "\x00" in words:
        raise InvalidInput(f"A {field} has 1 to {longest:,} characters.", field=field)


def _require_apart(design: Design) -> None:
    seen: dict[str, str] = {}
    for each in design.variants:
        if each.version_id in seen:
            reason = f"{seen[each.version_id]} and {each.name} are the same version, {each.version}."
            raise InvalidInput(reason, field="variants")
        seen[each.version_id] = each.name


def _require_time(design: Design) -> None:
    if design.minimum_hours < LEAST_DAYS * 24:
        reason = f"Let it run for at least {LEAST_DAYS * 24} hours: weekends differ from weekdays."
        raise InvalidInput(reason, field="minimum_hours")
    if design.minimum_raters < LEAST_RATERS:
        reason = f"It takes at least {LEAST_RATERS} users in each variant to say how sure a figure is."
        raise InvalidInput(reason, field="minimum_raters")
    if design.method is Method.PLANNED_END and not LEAST_DAYS <= (design.planned_days or 0) <= MOST_DAYS:
        reason = f"Plan {LEAST_DAYS} to {MOST_DAYS} days: weekends differ from weekdays."
        raise InvalidInput(reason, field="planned_days")


def _require_bound(design: Design, guardrail: Guardrail) -> None:
    metric = METRICS[guardrail.metric]
    words, most = metric.words.lower(), _greatest(guardrail)
    if not 0 < guardrail.limit <= most:
        raise InvalidInput(
            f"The guardrail on {words} lies above 0 and at most at {most:g}.", field="guardrails"
        )
    if [each.metric for each in design.guardrails].count(guardrail.metric) > 1:
        raise InvalidInput(f"There are two guardrails on {words}; keep the stricter one.", field="guardrails")


def _greatest(guardrail: Guardrail) -> float:
    metric = METRICS[guardrail.metric]
    if guardrail.relative:
        return 1.0 if metric.higher_is_better else MOST_RISE
    return {"share": 1.0, "score": 1.0, "stars": 5.0}.get(metric.unit, inf)


MOST_RISE = 10.0
"""A metric that may grow elevenfold is not guarded."""


def _require_versions(session: Session, agent: str, design: Design) -> None:
    known = {str(row.id): row.key for row in session.execute(VERSIONS, {"agent": agent})}
    if not known:
        history.labelled(session, agent)  # says what is missing
    for each in design.variants:
        if known.get(each.version_id) != each.version:
            reason = f"The agent {agent!r} has no version {each.version!r} of that id."
            raise InvalidInput(reason, field="variants")


VERSIONS = text("""
SELECT version.id, version.key
FROM prompt_versions AS version JOIN agents ON agents.id = version.agent_id
WHERE agents.key = :agent
""")
