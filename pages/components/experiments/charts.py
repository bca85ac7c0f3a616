"""Looks and plans to figures: the difference over time, the effect on each metric, what a plan would see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from learning_core.experiments import amounts
from learning_core.experiments.metrics import Metric
from learning_core.experiments.reports.telling import Effect, State
from pages.components.charts import FAINT, GRAY, SERIES, label

BETTER, WORSE, OPEN = SERIES[2], SERIES[3], GRAY
MARKS = {
    State.BETTER: (BETTER, "triangle-up"),
    State.WORSE: (WORSE, "triangle-down"),
    State.NO_EVIDENCE: (OPEN, "circle"),
    State.TOO_EARLY: (OPEN, "circle-open"),
}
"""Each state has a colour and a shape of its own."""

WIDEST = 0.5
"""Changes beyond half of the control's value run out of the picture; their figures stand beside it."""


# ---------------------------------------------------------------- over time


def over_time(looks: pd.DataFrame, metric: Metric, decided_day: float | None) -> go.Figure:
    """Draw the difference with its interval at each look, what was too early to judge, and the decision.

    Args:
        looks: One row per look, in order: day (float, since the first user), difference, low, high (float in
            the metric's unit, missing where too early), n (int), eligible (bool).
        metric: What was measured.
        decided_day: The day of the look that decided; None where none has.
    """
    figure = _figure(290)
    scaled = looks.assign(**{name: looks[name] * _scale(metric) for name in ("difference", "low", "high")})
    early, judged = scaled[~scaled["eligible"]], scaled[scaled["eligible"]]
    _add_early(figure, early, judged)
    _add_interval(figure, judged, metric)
    _add_difference(figure, early, metric, "Too early to judge", "circle-open", FAINT)
    _add_difference(figure, judged, metric, "Difference", "circle", SERIES[0])
    figure.add_hline(y=0, line={"width": 1.5, "color": GRAY})
    if decided_day is not None:
        _add_moment(figure, decided_day)
    last = float(looks["day"].max()) if len(looks) else 1.0
    figure.update_xaxes(
        title="Days since the first user", range=[0, max(1.0, last * 1.04)], dtick=_step(last)
    )
    _set_range(figure, scaled, judged)
    figure.update_yaxes(title=f"Difference{_in(metric)}", showgrid=True)
    figure.update_layout(showlegend=False)
    return figure


def _scale(metric: Metric) -> float:
    return 100.0 if metric.unit in ("share", "score") else 1.0


def _in(metric: Metric) -> str:
    return {"stars": " in stars", "ms": " in ms", "usd": " in dollars"}.get(metric.unit, " in points")


def _step(days: float) -> int:
    return next((step for step in (1, 2, 7, 14, 28) if days / step <= 9), 56)


def _add_early(figure: go.Figure, early: pd.DataFrame, judged: pd.DataFrame) -> None:
    if early.empty:
        return
    end = judged["day"].iloc[0] if len(judged) else early["day"].iloc[-1] * 1.04
    figure.add_vrect(x0=0, x1=end, fillcolor=FAINT, opacity=0.13, line_width=0, layer="below")
    figure.add_annotation(
        x=0, xanchor="left", xshift=6, y=1, yref="paper", yanchor="top", yshift=-3,
        text="Too early to judge", showarrow=False, font={"color": GRAY},
    )  # fmt: skip


def _add_interval(figure: go.Figure, judged: pd.DataFrame, metric: Metric) -> None:
    days = judged["day"].tolist()
    figure.add_scatter(
        x=days + days[::-1],
        y=judged["high"].tolist() + judged["low"].tolist()[::-1],
        fill="toself",
        fillcolor=SERIES[0],
        opacity=0.18,
        mode="lines",
        line={"width": 0, "color": SERIES[0]},
        hoverinfo="skip",
        name="95 % interval",
    )


def _add_difference(
    figure: go.Figure, rows: pd.DataFrame, metric: Metric, name: str, symbol: str, color: str
) -> None:
    scale = _scale(metric)
    figure.add_scatter(
        x=rows["day"],
        y=rows["difference"],
        name=name,
        mode="lines+markers" if symbol == "circle" else "markers",
        line={"color": color, "width": 2.5},
        marker={"size": 6, "symbol": symbol, "color": color},
        customdata=[
            (
                f"{row.day:.0f}",
                amounts.change(row.difference / scale, metric.unit),
                f", {amounts.between(row.low / scale, row.high / scale, metric.unit)}"
                if row.eligible
                else " so far, too early to judge",
                f"{row.n:,} {metric.counted}",
            )
            for row in rows.itertuples()
        ],
        hovertemplate="Day %{customdata[0]}: %{customdata[1]}%{customdata[2]}"
        "<br>%{customdata[3]}<extra></extra>",
    )


def _add_moment(figure: go.Figure, day: float) -> None:
    figure.add_vline(x=day, line={"width": 2, "dash": "dot", "color": SERIES[1]})
    figure.add_annotation(
        x=day, xanchor="right", xshift=-5, y=0, yref="paper", yanchor="bottom", yshift=3,
        text=f"Decided on day {day:.0f}", showarrow=False,
    )  # fmt: skip


def _set_range(figure: go.Figure, all_looks: pd.DataFrame, judged: pd.DataFrame) -> None:
    """Let the intervals fill the picture; a wild first day may leave it."""
    if judged.empty:
        reach = float(all_looks["difference"].abs().quantile(0.9)) if len(all_looks) else 1.0
        low, high = -reach, reach
    else:
        low, high = min(0.0, float(judged["low"].min())), max(0.0, float(judged["high"].max()))
    room = (high - low or 1.0) * 0.12
    figure.update_yaxes(range=[low - room, high + room], rangemode="normal", zeroline=False)


# ---------------------------------------------------------------- metric by metric


def effects(rows: Sequence[Effect]) -> go.Figure:
    """Draw the relative change of each metric with its interval, so that better is right in every row."""
    figure = _figure(64 + 52 * len(rows))
    reach = _reach(rows)
    for place, row in enumerate(rows):
        color, symbol = MARKS[row.state]
        turn = 1 if row.metric.higher_is_better else -1
        figure.add_scatter(
            x=[
                _within(turn * end, reach) for end in (row.relative_low, row.relative_high) if end is not None
            ],
            y=[place] * sum(end is not None for end in (row.relative_low, row.relative_high)),
            mode="lines",
            line={"color": color, "width": 4},
            opacity=0.55,
            hoverinfo="skip",
        )
        if row.relative is not None:
            figure.add_scatter(
                x=[_within(turn * row.relative, reach)],
                y=[place],
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 13, "line": {"width": 2, "color": color}},
                customdata=[(label(row.metric.words), row.told, row.counted, row.words)],
                hovertemplate="%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}<br>%{customdata[3]}"
                "<extra></extra>",
            )
    figure.add_vline(x=0, line={"width": 1.5, "color": GRAY})
    _write_rows(figure, rows, reach)
    return figure


def _reach(rows: Sequence[Effect]) -> float:
    ends = [abs(end) for row in rows for end in (row.relative, row.relative_low, row.relative_high) if end]
    return min(WIDEST, max([0.02, *ends]) * 1.1)


def _within(value: float, reach: float) -> float:
    return max(-reach, min(reach, value))


def _write_rows(figure: go.Figure, rows: Sequence[Effect], reach: float) -> None:
    """Write each row's name and figures above its line, so that a narrow screen shows both."""
    for place, row in enumerate(rows):
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=place,
            yanchor="bottom",
            yshift=9,
            text=f"<b>{label(row.metric.words)}</b>  {row.change}",
            showarrow=False,
            align="left",
            font={"size": 13},
        )
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if reach / step <= 2.5)
    ticks = [step * number for number in range(-int(reach / step), int(reach / step) + 1)]
    figure.update_xaxes(
        range=[-reach * 1.06, reach * 1.06],
        tickvals=ticks,
        ticktext=[_side(tick) for tick in ticks],
        tickformat=None,
        tickangle=0,
        showgrid=True,
        zeroline=False,
    )
    figure.update_yaxes(visible=False, range=[len(rows) - 0.5, -0.75], zeroline=False, rangemode="normal")
    figure.update_layout(showlegend=False)


def _side(tick: float) -> str:
    if abs(tick) < 1e-9:
        return "no change"
    return f"{abs(tick) * 100:.0f} %<br>{'better' if tick > 0 else 'worse'}"


# ---------------------------------------------------------------- what a plan would see


def likely_by_day(chances: pd.DataFrame, wanted: float) -> go.Figure:
    """Draw how likely the effect has been seen by each day, for the two ways of deciding.

    Args:
        chances: One row per day: day (int, from 1), always_valid, planned_end (float, 0-1).
        wanted: The likelihood that counts as enough (0-1).
    """
    figure = _figure(260)
    for color, dash, (column, name) in zip(SERIES, ("solid", "dash"), WAYS.items(), strict=False):
        figure.add_scatter(
            x=chances["day"],
            y=chances[column],
            name=name,
            mode="lines",
            line={"color": color, "width": 2.5, "dash": dash},
            hovertemplate="By day %{x}: %{y:.0%}<extra>%{fullData.name}</extra>",
        )
    figure.add_hline(y=wanted, line={"dash": "dot", "width": 1.5, "color": GRAY})
    figure.update_xaxes(title="Days", rangemode="tozero", dtick=_step(float(chances["day"].max())))
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    figure.update_yaxes(
        range=[0, 1.03], tickvals=ticks, ticktext=[f"{tick * 100:.0f} %" for tick in ticks], showgrid=True
    )
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return figure


WAYS = {"always_valid": "Open end", "planned_end": "Planned end"}


def _figure(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        hovermode="closest",
        dragmode=False,
        **_no_legend_title(),
    )
    figure.update_xaxes(showgrid=False, automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure


def _no_legend_title() -> dict[str, Any]:
    return {"legend": {"title": None}}
