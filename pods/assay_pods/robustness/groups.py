"""The two groups that mitigations tell apart: rows whose cue stands with the right answer, and all others."""

import math
from collections.abc import Mapping, Sequence

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation
from assay_pods.robustness.records import Record

GROUPS = ("aligned", "conflicting")


def of(record: Record) -> str:
    """Gives the group of a row."""
    return "aligned" if record.relation == "aligned" else "conflicting"


def balanced(rows: Sequence[Record], seed: int) -> list[Record]:
    """Gives as many rows as came, of both groups in turn; the smaller group's rows come again as often as it takes.

    Neighbours are of different groups, so they are never renders of one item.

    Raises:
        BadInputError: GROUP_EMPTY, when all rows are of one group.
    """
    shuffled = [rows[place] for place in permutation(seed, "groups", len(rows))]
    members = [[row for row in shuffled if of(row) == group] for group in GROUPS]
    if not all(members):
        counts = ", ".join(f"{len(found)} {group}" for group, found in zip(GROUPS, members, strict=True))
        raise BadInputError("GROUP_EMPTY", f"wanted training rows of both groups, got {counts}")
    turns = [members[place % len(GROUPS)] for place in range(len(rows))]
    return [turn[place // len(GROUPS) % len(turn)] for place, turn in enumerate(turns)]


def raised(weights: Mapping[str, float], losses: Mapping[str, float], step_size: float) -> dict[str, float]:
    """Moves weight to the groups of larger loss: multiplied by exp(step size x loss) and normalised (Sagawa et al. 2020, algorithm 1).

    Args:
        weights: The groups' weights so far; none for equal ones.
        losses: The mean loss of each group of the step.
        step_size: Above 0.
    """
    grown = {
        group: weights.get(group, 1 / len(GROUPS)) * math.exp(step_size * losses[group] if group in losses else 0.0) for group in GROUPS
    }
    whole = sum(grown.values())
    return {group: weight / whole for group, weight in grown.items()}
