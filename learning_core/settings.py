"""Every number and switch of Afterglow: its default, its environment variable, its meaning."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, get_type_hints

from learning_core.errors import InvalidInput


def default_home() -> Path:
    """Return the platform's user data folder; for root a system folder, as servers may not live in /root."""
    if sys.platform != "win32" and os.geteuid() == 0:
        return Path("/var/lib/afterglow")
    import platformdirs

    return Path(platformdirs.user_data_dir("afterglow", appauthor=False))


@dataclass(frozen=True)
class Settings:
    """Defaults of the product. Each field can be set by the environment variable AFTERGLOW_<FIELD>."""

    # Where things are
    home: Path = Path()
    """Folder of the embedded database (AFTERGLOW_HOME)."""
    database_url: str = ""
    """An existing PostgreSQL 18, as owner (DATABASE_URL). Empty: the embedded one."""
    database_app_url: str = ""
    """The same database as the application's role (DATABASE_APP_URL). Empty: derived from database_url."""
    host: str = "127.0.0.1"
    """Address to listen on (HOST). Anything but loopback needs sign-in."""
    port: int = 8501
    """Port of pages and API (PORT)."""
    database_replica_url: str = ""
    """A streaming replica for the dashboards to read from (DATABASE_REPLICA_URL). Empty: none."""
    allowed_hosts: str = "localhost,127.0.0.1,[::1]"
    """Host names under which the server may be addressed, separated by commas."""

    # Feedback
    feedback_per_user_per_minute: int = 10
    feedback_per_key_per_minute: int = 60_000
    positive_rating: int = 4
    """A rating from here on makes an answer a positive example."""
    positive_sample_share: float = 0.1
    """Share (0-1) of praised answers that become examples, so that praise does not flood the reviewers."""
    batch_limit: int = 1_000
    max_body_bytes: int = 16 * 1024 * 1024
    widget_token_minutes: int = 60

    # Review
    review_lease_minutes: int = 30
    """How long an example is held for a reviewer who does nothing."""
    review_overlap_share: float = 0.1
    """Share (0-1) of examples that several people judge without seeing each other's judgement."""
    review_overlap: int = 2
    """How many people judge each of these; where they disagree, one more is asked."""
    review_disagreement: float = 0.3
    """Difference in quality (0-1) above which two judgements count as disagreeing."""
    review_gold_share: float = 0.05
    """Share (0-1) of what a reviewer is given whose right decision is known."""

    # Datasets
    training_quality: float = 0.7
    """An example of at least this quality (0-1) is usable for training."""
    training_verified_share: float = 0.3
    """At least this share (0-1) of a dataset's examples has been verified by a person."""
    training_agreement: float = 0.8
    """Annotators of a dataset's examples agree in at least this share (0-1) of their pairs."""

    # Language models
    model_url: str = ""
    """Address of a model for every role without one of its own; http://127.0.0.1:11434/v1, for instance."""
    model_name: str = ""
    """That model's name at this address."""
    model_key: str = ""
    """The name of the key that this address wants: ACME for the one in AFTERGLOW_MODEL_KEY_ACME."""
    model_hosts: str = ""
    """Host names on which models may be, separated by commas. Empty: any that an administrator names."""
    model_attempts: int = 6
    """How often a call is sent before it counts as failed; one that timed out is sent twice at most."""
    model_backoff_s: float = 0.5
    """Pause before a call is sent for the second time; it doubles from then on, give or take half of it."""

    # Optimization
    optimization_calls: int = 600
    """Calls of models that an optimization may make unless it was told otherwise."""

    # Experiments, unless a design says otherwise
    experiment_hours: float = 168
    """No verdict before so many hours since the first user."""
    experiment_samples: int = 1_000
    """Nor with fewer observations of what decides, in both variants together."""
    experiment_significance: float = 0.05
    """How often (0-1) a change without effect may be taken for one."""

    # Releases, unless a policy says otherwise
    release_error_rate: float = 0.05
    """A share (0-1) of failed answers above this takes a release back."""
    release_satisfaction_drop: float = 0.10
    """So does the loss of this share (0-1) of satisfaction,"""
    release_latency_rise: float = 0.50
    """and answers that take longer by this share."""
    release_two_person: bool = False
    """Whether somebody other than who started a release has to approve it."""

    # Success metrics on the overview
    target_feedback_rate: float = 0.20
    target_satisfaction: float = 4.0
    target_prompt_improvement: float = 0.10
    target_retrieval_success: float = 0.80

    # Background work
    worker: bool = True
    """Whether `afterglow serve` starts a worker process of its own."""


_PLAIN_NAMES = {
    "database_url": "DATABASE_URL",
    "database_app_url": "DATABASE_APP_URL",
    "database_replica_url": "DATABASE_REPLICA_URL",
    "host": "HOST",
    "port": "PORT",
}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the settings from the environment, once per process.

    Raises:
        InvalidInput: a variable holds something its field cannot; the message names both.
    """
    types = get_type_hints(Settings)
    values: dict[str, Any] = {"home": default_home()}
    for field in fields(Settings):
        name = _PLAIN_NAMES.get(field.name, f"AFTERGLOW_{field.name.upper()}")
        if text := os.environ.get(name, "").strip():
            values[field.name] = _parse(name, text, types[field.name])
    return Settings(**values)


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        return text.lower() in ("1", "true", "yes", "on")
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInput(f"{name}={text!r} is not a valid {kind.__name__}.", field=name) from error
