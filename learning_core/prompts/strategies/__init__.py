"""Ways to a better prompt: each is one module that a person can read, and choose.

None reaches a model itself. A strategy gets a `Brief`, may ask a model through `Ask`, and returns proposals
that passed the guard.
"""

from learning_core.prompts.strategies.briefs import (
    Ask,
    Brief,
    Failure,
    Proposal,
    Question,
    Refused,
    Tried,
    nobody,
)
from learning_core.prompts.strategies.clarified import CLARIFIED
from learning_core.prompts.strategies.combination import COMBINATION
from learning_core.prompts.strategies.corrections import CORRECTIONS
from learning_core.prompts.strategies.few_shot import FEW_SHOT
from learning_core.prompts.strategies.guard import acceptable, refusal
from learning_core.prompts.strategies.reflective import REFLECTIVE
from learning_core.prompts.strategies.restructured import RESTRUCTURED
from learning_core.prompts.strategies.scaffolded import SCAFFOLDED
from learning_core.prompts.strategies.strategy import Drafted, Strategy

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (CLARIFIED, FEW_SHOT, RESTRUCTURED, CORRECTIONS, SCAFFOLDED, REFLECTIVE, COMBINATION)
}
"""In the order in which a person reads them."""

__all__ = [
    "STRATEGIES",
    "Ask",
    "Brief",
    "Drafted",
    "Failure",
    "Proposal",
    "Question",
    "Refused",
    "Strategy",
    "Tried",
    "acceptable",
    "nobody",
    "refusal",
]
