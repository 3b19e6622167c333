"""What a training notes on the way: kept in its checkpoints, told in the run's result."""

import math
from dataclasses import dataclass, field
from typing import Any

from assay_pods.common.context import BadInputError


@dataclass
class TrainLog:
    """What happened on the way. JSON values only: a checkpoint carries them."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    """Completion tokens, end tokens included, that entered the losses, over all epochs."""
    reference_points: list[float] = field(default_factory=list)
    """KTO's z0 of each step."""
    chosen_logprobs: list[float] = field(default_factory=list)
    """The mean log-probability of the right completions of each step, in nats (DPO and KTO): their loss alone does not show it fall."""
    group_weights: dict[str, float] = field(default_factory=dict)
    """GROUP_DRO's weights after the last step."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """Validation accuracy at each quarter, where it was asked for."""
    steps_planned: int = 0

    @property
    def partial(self) -> bool:
        """Whether training was ended before its last step, to score what there is."""
        return len(self.losses) < self.steps_planned

    @property
    def clamped_share(self) -> float | None:
        """The share of steps whose z0 was clamped to 0; None where there is no z0."""
        points = self.reference_points
        return sum(value == 0 for value in points) / len(points) if points else None

    def warnings(self) -> list[str]:
        """Says what a reader of the figures should know."""
        said = []
        if self.partial:
            said.append(f"training was ended after {len(self.losses)} of {self.steps_planned} steps, as asked")
        at_zero = sum(value == 0 for value in self.reference_points)
        if at_zero:
            steps = len(self.reference_points)
            said.append(f"KTO's reference point z0 was clamped to 0 in {at_zero} of {steps} steps, where it is apo_zero_unpaired")
        return said

    def at_quarter(self, step: int) -> int | None:
        """Gives which quarter of the training ends with this step, from 1, or None."""
        ends = {math.ceil(self.steps_planned * quarter / 4): quarter for quarter in (1, 2, 3, 4)}
        return ends.get(step)


def check_finite(loss: float, step: int) -> None:
    """Ends a training that has lost its way: the same rows and rate would lose it again.

    Raises:
        BadInputError: TRAINING_DIVERGED.
    """
    if not math.isfinite(loss):
        raise BadInputError("TRAINING_DIVERGED", f"wanted a finite loss, got {loss} after {step} steps: a lower learning rate may help")
