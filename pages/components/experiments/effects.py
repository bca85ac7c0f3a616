"""Asking which difference would matter, in the unit of the metric."""

from __future__ import annotations

import streamlit as st

from learning_core.experiments.habits import Habits
from learning_core.experiments.metrics import Metric


def ask(metric: Metric, seen: Habits, *, key: str = "effect") -> float:
    """Ask for the least difference worth knowing of and return it, above 0 and in the metric's unit."""
    label = f"{'A rise' if metric.higher_is_better else 'A fall'} worth knowing of"
    key = f"{key}_{metric.key}"
    if metric.unit == "stars":
        return float(st.slider(label, 0.05, 1.0, 0.15, 0.05, format="%.2f stars", key=key))
    if metric.unit in ("share", "score"):
        most = _most_points(metric, seen)
        step = 0.1 if most <= 4 else 1.0
        usual = min(5.0, round(most / 2 / step) * step)
        return float(st.slider(label, step, most, usual, step, format=POINTS[step], key=key)) / 100
    percent = st.slider(label, 1, 50, 10, format="%d %%", key=key)
    return percent / 100 * (seen.raters.mean if seen.raters else 1.0)


POINTS = {0.1: "%.1f points", 1.0: "%.0f points"}


def _most_points(metric: Metric, seen: Habits) -> float:
    """Return the largest change that can be asked for: no share rises above all or falls below nothing."""
    base = seen.raters.mean if seen.raters else 0.5
    room = 1 - base if metric.higher_is_better else base
    return min(20.0, max(0.5, float(int(room * 90)) if room > 0.05 else round(room * 90, 1)))
