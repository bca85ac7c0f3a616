"""Frame to figure, and nothing else: no questions, no page.

Streamlit swaps the numbered colours below for the theme's, light or dark, in the browser. The last item of a
point's customdata is the agent it belongs to, the first the days it sums up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from learning_core.feedback.intervals import Estimate

SERIES = [f"#0000{number:02}" for number in range(1, 10)]
STARS = ["#000021", "#000023", "#000025", "#000028", "#000030"]
FAINT = "#000036"

SCALE_NAMES = {
    "rating": "Overall",
    "accuracy": "Accuracy",
    "helpfulness": "Helpfulness",
    "clarity": "Clarity",
    "completeness": "Completeness",
}
OTHERS = "All other agents"


DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""With these a stranger's text could turn round what stands beside it."""


def shorten(text: str, length: int = 32) -> str:
    """Return a text that fits a label."""
    text = " ".join(DIRECTION_MARKS.sub("", text).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return f"{value:.{digits}%}".replace("%", " %")


def span(first_day: date, last_day: date) -> str:
    """Return a period in a reader's words."""
    if first_day == last_day:
        return f"{last_day:%d %b %Y}"
    return f"{first_day:%d %b} to {last_day:%d %b %Y}"


def volume(periods: pd.DataFrame, today: date) -> go.Figure:
    """Draw how much feedback each agent got, stacked; the period that holds today is paler."""
    figure = _figure("Pieces of feedback")
    for color, (name, rows) in zip(SERIES, _by_agent(periods), strict=False):
        figure.add_bar(
            x=rows["last_day"],
            y=rows["feedback_count"],
            name=name,
            marker={
                "color": FAINT if name == OTHERS else color,
                "opacity": [0.45 if day == today else 1.0 for day in rows["last_day"]],
                "line": {"width": 0},
            },
            customdata=[
                (
                    f"{row.first_day}..{row.last_day}",
                    span(row.first_day, row.last_day) + (" (so far)" if row.last_day == today else ""),
                    _agent(row),
                )
                for row in rows.itertuples()
            ],
            hovertemplate="%{customdata[1]}<br>%{y:,} pieces of feedback<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    _make_room_for_legend(figure)
    return figure


def satisfaction(periods: pd.DataFrame, today: date) -> go.Figure:
    """Draw each agent's mean rating over the week that ends on each day.

    One agent alone also gets the interval of its line as a band and its single days as dots.
    """
    figure = _figure("Mean rating, 1 to 5")
    rated = periods[periods["week_count"] > 0]
    series = _by_agent(rated)
    if len(series) == 1:
        _add_band(figure, rated)
        _add_days(figure, rated, today)
    crowded = len(series) > 4
    for color, (name, rows) in zip(SERIES, series, strict=False):
        figure.add_scatter(
            x=rows["last_day"],
            y=rows["week_satisfaction"],
            name=name,
            mode="lines+markers",
            line={"color": FAINT if name == OTHERS else color, "width": 1.5 if crowded else 2.5},
            marker={"size": 4 if crowded else 5},
            customdata=[
                (
                    f"{row.last_day - WEEK}..{row.last_day}",
                    span(row.last_day - WEEK, row.last_day),
                    row.week_low,
                    row.week_high,
                    row.week_count,
                    _agent(row),
                )
                for row in rows.itertuples()
            ],
            hovertemplate=RATING_HOVER,
        )
    figure.update_yaxes(range=[0.9, 5.1], dtick=1)
    figure.update_layout(showlegend=len(series) > 1)
    if len(series) > 1:
        _make_room_for_legend(figure)
    return figure


WEEK = timedelta(days=6)

RATING_HOVER = (
    "%{customdata[1]}<br>%{y:.2f} of 5 (95 % interval %{customdata[2]:.2f} to %{customdata[3]:.2f}, "
    "%{customdata[4]:,} ratings)<extra>%{fullData.name}</extra>"
)


def stars(counts: pd.DataFrame) -> go.Figure:
    """Draw the share of each star per scale as one stacked bar, from one star on the left to five."""
    figure = _figure("")
    levels = [f"star_{level}" for level in range(1, 6)]
    rated = counts[counts[levels].sum(axis="columns") > 0].iloc[::-1]
    totals = rated[levels].sum(axis="columns")
    labels = [
        f"{SCALE_NAMES[row.scale]} (n {total:,})"
        for row, total in zip(rated.itertuples(), totals, strict=True)
    ]
    for number, (level, color) in enumerate(zip(levels, STARS, strict=True), start=1):
        shares = rated[level] / totals
        figure.add_bar(
            y=labels,
            x=shares,
            orientation="h",
            name=f"{number} ★",
            marker={"color": color, "line": {"width": 0}},
            text=[percent(share, 0) if share >= 0.07 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            customdata=rated[level],
            hovertemplate=f"{number} of 5 stars: %{{customdata:,}} (%{{x:.1%}})<extra>%{{y}}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(range=[0, 1], visible=False, tickformat=None)
    figure.update_yaxes(showgrid=False, automargin=True)
    return figure


def compare(figures: Sequence[tuple[str, Estimate]]) -> go.Figure:
    """Draw mean ratings as dots with their intervals, from top to bottom in the order given."""
    figure = _figure("")
    figure.add_scatter(
        x=[estimate.value for _, estimate in figures],
        y=[f"{label(name, 22)} (n {estimate.n:,})" for name, estimate in figures],
        mode="markers+text",
        text=[f"{estimate.value:.2f}" for _, estimate in figures],
        textposition="top center",
        marker={"size": 10, "color": SERIES[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [estimate.high - estimate.value for _, estimate in figures],
            "arrayminus": [estimate.value - estimate.low for _, estimate in figures],
            "color": SERIES[0],
            "thickness": 2,
            "width": 5,
        },
        customdata=[("", "", estimate.low, estimate.high, estimate.n) for _, estimate in figures],
        hovertemplate="%{x:.2f} of 5 (95 % interval %{customdata[2]:.2f} to %{customdata[3]:.2f}, "
        "%{customdata[4]:,} ratings)<extra>%{y}</extra>",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[0.9, 5.1], dtick=1, showgrid=True, zeroline=False, title="Mean rating, 1 to 5")
    figure.update_yaxes(range=[len(figures) - 0.5, -0.8], type="category", showgrid=False)
    return figure


def composition(counts: pd.DataFrame, type_names: Mapping[str, str]) -> go.Figure:
    """Draw how many examples of each type a dataset holds, one bar per type, parted by split."""
    figure = _figure("")
    types = counts["example_type"].drop_duplicates().tolist()
    totals = counts.groupby("example_type")["example_count"].sum()
    for color, (split, name) in zip(SERIES, SPLIT_NAMES.items(), strict=False):
        rows = counts[counts["split"] == split]
        figure.add_bar(
            y=[f"{type_names[kind]} ({totals[kind]:,})" for kind in rows["example_type"]],
            x=rows["example_count"],
            orientation="h",
            name=f"{name} ({rows['example_count'].sum():,})",
            marker={"color": color, "line": {"width": 0}},
            hovertemplate="%{x:,} examples<extra>%{fullData.name}</extra>",
        )
    order = [f"{type_names[kind]} ({totals[kind]:,})" for kind in reversed(types)]
    figure.update_layout(barmode="stack", bargap=0.35, height=130 + 34 * len(types))
    figure.update_layout(legend={"y": 1.0, "yanchor": "bottom"}, margin={"t": 34})
    figure.update_xaxes(title="Examples", tickformat=",d", rangemode="tozero", showgrid=True)
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=order)
    return figure


SPLIT_NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}


def agreement(months: Sequence[tuple[date, Estimate]], required: float) -> go.Figure:
    """Draw the share of agreeing pairs per month with its interval, and the share that is required."""
    figure = _figure("Agreeing pairs")
    figure.add_scatter(
        x=[month for month, _ in months],
        y=[estimate.value for _, estimate in months],
        mode="lines+markers",
        line={"color": SERIES[0], "width": 2.5},
        marker={"size": 8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [estimate.high - estimate.value for _, estimate in months],
            "arrayminus": [estimate.value - estimate.low for _, estimate in months],
            "color": SERIES[0],
            "thickness": 1.5,
            "width": 5,
        },
        customdata=[
            (f"{month:%B %Y}", *map(percent, (estimate.value, estimate.low, estimate.high)), estimate.n)
            for month, estimate in months
        ],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]} (95 % interval %{customdata[2]} to "
        "%{customdata[3]}, %{customdata[4]:,} examples)<extra></extra>",
    )
    figure.add_hline(y=required, line={"dash": "dot", "width": 1.5, "color": SERIES[1]})
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    figure.update_yaxes(range=[0, 1.04], tickvals=ticks, ticktext=[percent(tick, 0) for tick in ticks])
    figure.update_xaxes(tickformat="%b<br>%Y", tickangle=0, dtick="M1" if len(months) < 9 else None)
    figure.update_layout(showlegend=False)
    return figure


SPENDING = {"usd": ("US dollars spent", "$,.2f"), "calls": ("Calls made", ",d")}


def score_over_spend(
    points: pd.DataFrame, baseline: Estimate | None, unit: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the figures and the form of a chart: how the best score rose with what was spent, in calls or
    usd, and the score that it began with.

    The form is Vega-Lite's and the same for all figures, so that the chart stays while they change.
    """
    title, form = SPENDING[unit]
    spent = {"field": unit, "type": "quantitative", "title": title, "axis": {"format": form, "tickCount": 6}}
    best = {"field": "mean", "type": "quantitative", "title": "Score of the best", "axis": PERCENT_AXIS}
    told = [
        {"field": "number", "title": "Best candidate", "format": "d"},
        {"field": "mean", "title": "Mean score", "format": ".1%"},
        {"field": "n", "title": "On examples", "format": ",d"},
        {"field": "calls", "title": "Calls", "format": ",d"},
        {"field": "usd", "title": "US dollars", "format": "$,.4f"},
    ]
    steps = {
        "mark": {"type": "line", "interpolate": "step-after", "point": {"size": 60}, "strokeWidth": 2.5},
        "encoding": {
            "x": spent | {"scale": {"zero": True}},
            "y": best | {"scale": {"zero": False, "padding": 25}},
            "tooltip": told,
        },
    }
    figures = points.assign(baseline=baseline.value) if baseline else points
    return figures, {"layer": [*(BASELINE if baseline else ()), steps], "height": 260}


PERCENT_AXIS = {"labelExpr": "format(datum.value * 100, 'd') + ' %'", "tickMinStep": 0.05, "tickCount": 6}
GRAY = "#85807A"
"""Legible on light and dark: Vega-Lite knows no colours that follow the theme beside those of series."""


BEGINNING = [
    {"aggregate": [{"op": "min", "field": "baseline", "as": "baseline"}]},
    {"calculate": "'Current prompt, ' + format(datum.baseline * 100, 'd') + ' %'", "as": "name"},
]
AT = {"field": "baseline", "type": "quantitative"}
RULE = {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 1.5, "color": GRAY}
NAME = {"type": "text", "align": "right", "baseline": "top", "dx": -4, "dy": 5, "color": GRAY}
BASELINE = (
    {"transform": BEGINNING, "mark": RULE, "encoding": {"y": AT}},
    {
        "transform": BEGINNING,
        "mark": NAME,
        "encoding": {"y": AT, "x": {"value": "width"}, "text": {"field": "name"}},
    },
)
"""The score to beat as a dashed line with its name."""


def label(text: str, length: int = 28) -> str:
    """Return a stranger's text as a label: Plotly would read tags in it."""
    return escape(shorten(text, length), quote=False)


def _by_agent(periods: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split into one frame per agent, in the order given; the nameless rest is all others."""
    names = periods["agent"].drop_duplicates()
    if len(names) == 1 and names.isna().all():
        return [("All agents", periods)]
    return [
        (OTHERS, periods[periods["agent"].isna()])
        if pd.isna(name)
        else (label(name, 20), periods[periods["agent"] == name])
        for name in names
    ]


def _agent(row: Any) -> str | None:
    return None if pd.isna(row.agent) else row.agent


def _add_band(figure: go.Figure, rated: pd.DataFrame) -> None:
    days = rated["last_day"].tolist()
    figure.add_scatter(
        x=days + days[::-1],
        y=rated["week_high"].tolist() + rated["week_low"].tolist()[::-1],
        fill="toself",
        fillcolor=SERIES[0],
        opacity=0.16,
        mode="lines",
        line={"width": 0, "color": SERIES[0]},
        hoverinfo="skip",
        showlegend=False,
        name="95 % interval",
    )


def _add_days(figure: go.Figure, rated: pd.DataFrame, today: date) -> None:
    single = rated[(rated["first_day"] == rated["last_day"]) & (rated["rating_count"] > 0)]
    figure.add_scatter(
        x=single["last_day"],
        y=single["satisfaction"],
        mode="markers",
        marker={"size": 6, "color": FAINT, "opacity": 0.55},
        name="Single day",
        customdata=[
            (
                f"{row.last_day}..{row.last_day}",
                span(row.last_day, row.last_day) + (" (so far)" if row.last_day == today else ""),
                row.satisfaction_low,
                row.satisfaction_high,
                row.rating_count,
                _agent(row),
            )
            for row in single.itertuples()
        ],
        hovertemplate=RATING_HOVER,
    )


def _make_room_for_legend(figure: go.Figure) -> None:
    """Set the names in two columns under a plot that keeps its height."""
    rows = -(-len(figure.data) // 2)
    figure.update_layout(
        height=290 + 22 * (rows - 1),
        legend={"entrywidth": 0.47, "entrywidthmode": "fraction", "y": -0.12, "yanchor": "top"},
    )


def _figure(y_title: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=290,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        legend={"orientation": "h", "y": -0.14, "x": 0, "title": None, "traceorder": "normal"},
        hovermode="closest",
        dragmode=False,
    )
    figure.update_xaxes(showgrid=False, automargin=True, fixedrange=True, tickformat="%d %b", nticks=8)
    figure.update_yaxes(title=y_title or None, rangemode="tozero", automargin=True, fixedrange=True)
    return figure
