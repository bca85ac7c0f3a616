"""The result of an experiment as one HTML file that needs nothing else and prints well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from learning_core.experiments import amounts
from learning_core.experiments.analysis import Design, Look, State
from learning_core.experiments.guardrails import GuardrailResult
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.reports import drawings, method, telling
from learning_core.experiments.reports.telling import Effect, Words


@dataclass(frozen=True)
class Header:
    """What stands at the top of a report.

    Attributes:
        organization: Whose experiment.
        agent: Of which agent.
        name: What it is called.
        hypothesis: What was expected.
        status: Where it stands, for people.
        started_at: When users first met a variant; None before.
        ended_at: None while it runs.
        made_at: When the report was made.
        simulated: Whether its users are invented.
    """

    organization: str
    agent: str
    name: str
    hypothesis: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    made_at: datetime
    simulated: bool = False


def html(
    header: Header, design: Design, looks: Sequence[Look], words: Words, rails: Sequence[GuardrailResult] = ()
) -> str:
    """Return the report.

    Args:
        header: What it is about.
        design: The terms.
        looks: All looks, in order.
        words: What the experiment says and what was decided.
        rails: Its guardrails.
    """
    last = looks[-1] if looks else None
    parts = [_title(header, design), _verdict(words)]
    if last is not None:
        parts += [
            _over_time(design, looks),
            _effects(design, last),
            _traffic(design, last),
            _rails(rails),
            _method(design),
            _looks(looks, design),
        ]
    body = "\n".join(part for part in parts if part)
    made = f"Made by Afterglow on {_moment(header.made_at)}."
    return PAGE.format(title=escape(header.name), style=STYLE, body=body, made=made)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<footer>{made}</footer>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light; --ink: #12100f; --soft: #5f5b55; --line: #e3dfd9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 800px; padding: 32px 24px; color: var(--ink); background: #fff;
  font: 15px/1.5 Inter, system-ui, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; }
.soft, figcaption, footer { color: var(--soft); font-size: 13px; }
.verdict { border: 1px solid var(--line); border-radius: 8px; padding: 14px 18px; margin: 20px 0; }
.verdict strong { display: block; font-size: 20px; line-height: 1.3; margin-bottom: 4px; }
.wrote { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }
figure { margin: 0; }
svg { width: 100%; height: auto; display: block; font: 12px Inter, system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
footer { border-top: 1px solid var(--line); margin-top: 32px; padding-top: 8px; }
@media print {
  @page { size: A4; margin: 16mm; }
  body { padding: 0; max-width: none; font-size: 11pt; }
  figure, .verdict, tr, h2 { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def _title(header: Header, design: Design) -> str:
    ran = "Not started yet"
    if header.started_at:
        ran = f"{_moment(header.started_at)} to {_moment(header.ended_at) if header.ended_at else 'now'}"
    versions = ", ".join(
        f"{telling.variant(one.name)}: {one.version} ({one.share * 100:.0f} %)" for one in design.variants
    )
    invented = "<p><b>Simulated data.</b> No real person, firm or answer.</p>" if header.simulated else ""
    return f"""<h1>{escape(header.name)}</h1>
<p class="soft">{escape(header.organization)}, agent {escape(header.agent)}. {escape(header.status)}.
{ran}.<br>
{escape(versions)}</p>{invented}
<p class="wrote">{escape(header.hypothesis)}</p>"""


def _moment(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"


def _verdict(words: Words) -> str:
    rest = "".join(f'<p class="wrote">{escape(told)}</p>' for told in (words.figures, words.advice) if told)
    return f'<div class="verdict"><strong>{escape(words.headline)}</strong>{rest}</div>'


# ---------------------------------------------------------------- charts


def _over_time(design: Design, looks: Sequence[Look]) -> str:
    metric = METRICS[design.primary]
    drawn = []
    for treatment in design.treatments:
        told = telling.variant(treatment.name)
        caption = (
            f"{told} less control, {telling.window(looks[-1])}. The band is where the true difference lies, "
            f"with {telling.sure(design)} certainty on all days together."
        )
        drawn.append(_figure(drawings.over_time(looks, treatment.name, metric), caption))
    return f"<h2>{escape(metric.words)} over time</h2>{''.join(drawn)}"


def _effects(design: Design, look: Look) -> str:
    drawn = []
    for treatment in design.treatments:
        effects = [one for one in telling.effects(look) if one.variant == treatment.name]
        name = f"<h3>{escape(telling.variant(treatment.name))}</h3>" if len(design.treatments) > 1 else ""
        caption = "To the right is better in every row."
        drawn.append(f"{name}{_figure(drawings.effects(effects), caption)}{_effects_table(effects)}")
    return f"<h2>What changed</h2>{''.join(drawn)}"


def _effects_table(effects: Sequence[Effect]) -> str:
    rows = [
        (one.metric.words, STATE_MARKS[one.state] + one.words, one.values, one.told, one.counted)
        if one.words != telling.NOTHING_SEEN
        else (one.metric.words, one.words, "", "", f"no {one.metric.counted}")
        for one in effects
    ]
    return _table(("Measure", "State", "Treatment instead of control", "Difference", "From"), rows)


STATE_MARKS = {State.BETTER: "▲ ", State.WORSE: "▼ ", State.NO_EVIDENCE: "", State.TOO_EARLY: ""}


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


# ---------------------------------------------------------------- tables


def _traffic(design: Design, look: Look) -> str:
    rows = [
        (
            telling.variant(one.variant),
            one.version,
            f"{one.users:,}",
            f"{one.expected:,.0f}",
            f"{one.share * 100:.0f} %",
        )
        for one in telling.arrived(design, look)
    ]
    table = _table(("Variant", "Version", "Users", "Planned", "Share"), rows, numbers=(2, 3, 4))
    told = f"{telling.mismatch(design, look)} {telling.crossed(look)}"
    return f"<h2>Traffic</h2>{table}<p>{escape(told)}</p>"


def _rails(rails: Sequence[GuardrailResult]) -> str:
    if not rails:
        return ""
    return "<h2>Guardrails</h2>" + _table(
        ("Bound", "State", "Found"),
        [(one.words, telling.RAIL_STATES[one.state], one.reason) for one in rails],
    )


def _method(design: Design) -> str:
    terms = _table(("Terms, fixed before the start", ""), method.terms(design))
    ways = "".join(f"<p>{escape(way)}</p>" for way in method.explained(design))
    return f"<h2>How this is computed</h2>{terms}{ways}"


def _looks(looks: Sequence[Look], design: Design) -> str:
    """Return one row per day: its last look."""
    metric = METRICS[design.primary]
    by_day = {telling.day(look.hours): look for look in looks}
    rows = [
        (
            str(day),
            f"{look.at:%Y-%m-%d %H:%M}",
            telling.variant(one.variant),
            amounts.change(one.difference, metric.unit),
            amounts.interval(one.low, one.high, metric.unit),
            f"{one.control.n + one.treatment.n:,.0f}",
            _p(one.running_p),
        )
        for day, look in by_day.items()
        for one in look.primary
    ]
    head = ("Day", "Look (UTC)", "Variant", metric.words, "Between", f"n ({metric.counted})", "least p")
    return "<h2>Day by day</h2>" + _table(head, rows, numbers=(5, 6))


def _p(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.4f}" if value >= LEAST_P else f"<{LEAST_P}"


LEAST_P = 0.0001


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Sequence[int] = ()) -> str:
    def cell(kind: str, place: int, told: Any) -> str:
        number = ' class="number"' if place in numbers else ""
        return f"<{kind}{number}>{escape(str(told))}</{kind}>"

    top = "".join(cell("th", place, told) for place, told in enumerate(head))
    lines = "".join(
        f"<tr>{''.join(cell('td', place, told) for place, told in enumerate(row))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
