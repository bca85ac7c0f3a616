"""Looks as pictures for a printed report: inline SVG in black, grey and two colours, each with its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import TypeAlias

from learning_core.experiments import amounts
from learning_core.experiments.analysis import Comparison, Look, State
from learning_core.experiments.metrics import Metric
from learning_core.experiments.reports import telling
from learning_core.experiments.reports.telling import Effect

Scale: TypeAlias = Callable[[float], float]

WIDTH, HEIGHT = 740, 270
LEFT, RIGHT, TOP, BOTTOM = 92, 12, 14, 40
INK, SOFT, LINE, BAND, MOMENT = "#12100f", "#5f5b55", "#e3dfd9", "#35618e", "#b3460e"
COLORS = {State.BETTER: "#2b7a5d", State.WORSE: "#b42338", State.NO_EVIDENCE: SOFT, State.TOO_EARLY: SOFT}
ROW = 40
WIDEST = 0.5
"""Changes beyond half of the control's value run out of the picture; their figures stand beside it."""


# ---------------------------------------------------------------- over time


def over_time(looks: Sequence[Look], variant: str, metric: Metric) -> str:
    """Return the difference with its interval at each look, and when it was decided."""
    points = [
        (look.hours / telling.DAY_HOURS, one)
        for look in looks
        for one in look.primary
        if one.variant == variant and one.difference is not None
    ]
    if not points:
        return _svg(60, "Nothing to compare yet", _text(LEFT, 30, "Nothing to compare yet"))
    judged = [(day, one) for day, one in points if one.low is not None]
    low, high = _range(points, judged)
    last = max(1.0, points[-1][0])

    def x(day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * day / last

    def y(value: float) -> float:
        held = min(max(value, low), high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - held) / (high - low)

    parts = _grid(low, high, last, x, y, metric)
    start = judged[0][0] if judged else last
    parts.append(
        f'<rect x="{x(0):.1f}" y="{TOP}" width="{x(start) - x(0):.1f}" height="{HEIGHT - TOP - BOTTOM}" '
        f'fill="{SOFT}" opacity=".1"/>'
    )
    parts.append(_text(x(0) + 6, TOP + 14, "Too early to judge", SOFT))
    parts += [
        f'<circle cx="{x(day):.1f}" cy="{y(one.difference or 0):.1f}" r="3" fill="none" stroke="{SOFT}"/>'
        for day, one in points
        if one.low is None
    ]
    if judged:
        upper = [f"{x(day):.1f},{y(one.high or 0):.1f}" for day, one in judged]
        lower = [f"{x(day):.1f},{y(one.low or 0):.1f}" for day, one in reversed(judged)]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{BAND}" opacity=".2"/>')
        line = " ".join(f"{x(day):.1f},{y(one.difference or 0):.1f}" for day, one in judged)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{BAND}" stroke-width="2"/>')
    parts.append(_line(x(0), y(0), WIDTH - RIGHT, y(0), INK))
    found = looks[-1].verdict
    if found is not None and found.variant == variant:
        at = x(found.hours / telling.DAY_HOURS)
        parts.append(_line(at, TOP, at, HEIGHT - BOTTOM, MOMENT, dashed=True))
        told = f"Decided on day {telling.day(found.hours)}"
        parts.append(_text(at - 6, TOP + 30, told, MOMENT, anchor="end"))
    words = f"{metric.words} under {telling.variant(variant)} less control, over {last:.0f} days"
    return _svg(HEIGHT, words, *parts)


def _range(
    points: Sequence[tuple[float, Comparison]], judged: Sequence[tuple[float, Comparison]]
) -> tuple[float, float]:
    ends = [end for _, one in judged for end in (one.low, one.high) if end is not None]
    if not ends:
        reach = sorted(abs(one.difference or 0) for _, one in points)[int(len(points) * 0.9) - 1] or 1.0
        ends = [-reach, reach]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = (high - low or 1.0) * 0.08
    return low - room, high + room


def _grid(low: float, high: float, last: float, x: Scale, y: Scale, metric: Metric) -> list[str]:
    parts = []
    step = _step((high - low) / 5)
    for number in range(ceil(low / step), floor(high / step) + 1):
        value = number * step
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), LINE))
        parts.append(_text(LEFT - 8, y(value) + 4, amounts.change(value, metric.unit), SOFT, anchor="end"))
    days = next((step for step in (1, 2, 7, 14, 28) if last / step <= 10), 56)
    parts += [
        _text(x(day), HEIGHT - BOTTOM + 17, str(day), SOFT, anchor="middle")
        for day in range(0, floor(last) + 1, days)
    ]
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 5, "Days since the first user", SOFT, anchor="middle"))
    return parts


def _step(wanted: float) -> float:
    """Return a round number near the one wanted: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(wanted))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted)


# ---------------------------------------------------------------- metric by metric


def effects(rows: Sequence[Effect]) -> str:
    """Return each metric's relative change with its interval, so that better is right in every row."""
    ends = [abs(end) for one in rows for end in (one.relative, one.relative_low, one.relative_high) if end]
    reach = min(WIDEST, max([0.02, *ends]) * 1.1)
    left, right = 150, 200
    middle, scale = (left + WIDTH - right) / 2, (WIDTH - left - right) / 2 / reach
    height = ROW * len(rows) + 34
    parts = [
        _line(middle, 6, middle, height - 24, INK),
        _text(left, height - 6, f"← {reach * 100:.0f} % worse", SOFT),
        _text(WIDTH - right, height - 6, f"{reach * 100:.0f} % better →", SOFT, anchor="end"),
    ]
    for place, one in enumerate(rows):
        at = ROW * place + 22
        turn = 1 if one.metric.higher_is_better else -1

        def x(value: float, turn: int = turn) -> float:
            return middle + scale * max(-reach, min(reach, turn * value))

        color = COLORS[one.state]
        parts.append(_text(0, at + 4, one.metric.words, INK))
        if one.relative_low is not None and one.relative_high is not None:
            parts.append(
                _line(x(one.relative_low), at, x(one.relative_high), at, color, width=4, opacity=0.5)
            )
        if one.relative is not None:
            parts.append(_mark(x(one.relative), at, one.state, color))
        parts.append(_text(WIDTH - right + 12, at, one.change, INK))
        parts.append(_text(WIDTH - right + 12, at + 14, one.words, color))
    words = "; ".join(f"{one.metric.words}: {one.words}, {one.told}" for one in rows)
    return _svg(height, words, *parts)


def _mark(x: float, y: float, state: State, color: str) -> str:
    if state in (State.BETTER, State.WORSE):
        tip = -7 if state is State.BETTER else 7
        points = f"{x:.1f},{y + tip:.1f} {x - 7:.1f},{y - tip * 0.7:.1f} {x + 7:.1f},{y - tip * 0.7:.1f}"
        return f'<polygon points="{points}" fill="{color}"/>'
    filled = color if state is State.NO_EVIDENCE else "#fff"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{filled}" stroke="{color}" stroke-width="2"/>'


# ---------------------------------------------------------------- shapes


def _svg(height: float, words: str, *parts: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>{''.join(parts)}</svg>"
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, color: str, *,
    width: float = 1.2, opacity: float = 1.0, dashed: bool = False,
) -> str:  # fmt: skip
    dash = ' stroke-dasharray="3 3"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
        f'stroke-width="{width}" opacity="{opacity}"{dash}/>'
    )


def _text(x: float, y: float, words: str, color: str = INK, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">{escape(words)}</text>'
