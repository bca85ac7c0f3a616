"""What p-values are worth when several questions are asked at once.

Both take the p-values along the last axis, in any order, and return the adjusted ones in the same order: one
of at most alpha is significant at alpha. What was not asked yet counts as 1, so that the number of questions
stays what it was at the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust so that even one false finding has a chance of at most alpha, however the questions depend.

    Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics
    6, 65-70.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values, order = _sorted(p)
    m = values.shape[-1]
    steps = np.maximum.accumulate(values * np.arange(m, 0, -1), axis=-1)
    return _back(np.minimum(steps, 1.0), order)


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust so that of what is found at most a share of alpha is false on average: for exploring only.

    Benjamini and Hochberg (1995), "Controlling the False Discovery Rate", Journal of the Royal Statistical
    Society B 57, 289-300; for independent or positively dependent questions.
    """
    values, order = _sorted(p)
    m = values.shape[-1]
    steps = (values * m / np.arange(1, m + 1))[..., ::-1]
    return _back(np.minimum(np.minimum.accumulate(steps, axis=-1)[..., ::-1], 1.0), order)


def _sorted(p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values = np.asarray(p, dtype=float)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(values, axis=-1)
    return np.take_along_axis(values, order, axis=-1), order


def _back(adjusted: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    found = np.empty_like(adjusted)
    np.put_along_axis(found, order, adjusted, axis=-1)
    return found
