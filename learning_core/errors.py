"""What can go wrong in the domain, in words a user can act on.

Each door (API, pages, command line) maps these kinds to its own language in one table.
"""

from __future__ import annotations


class LearningError(Exception):
    """Something in Afterglow went wrong."""

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.field = field
        super().__init__(self.message)


class NotFound(LearningError):
    """There is nothing here by that name."""


class Conflict(LearningError):
    """This contradicts what is already stored."""


class InvalidInput(LearningError):
    """The input cannot be accepted as it is."""


class NotPermitted(LearningError):
    """Your role does not allow this."""


class NotSignedIn(LearningError):
    """Sign in or send a valid API key."""


class TooManyRequests(LearningError):
    """Too many requests; try again a little later."""

    def __init__(self, message: str | None = None, *, retry_after_s: int = 60) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotEnoughData(LearningError):
    """There is not enough data yet to answer this."""


class Unavailable(LearningError):
    """The database cannot be reached at the moment; nothing was stored."""


class ModelFailed(LearningError):
    """The model gave no usable answer."""


class BudgetSpent(LearningError):
    """What this run may spend is spent."""


class Interrupted(LearningError):
    """A person asked this run to stop for now."""
