"""A residual linear map of the frozen encoder's query vectors, in closed form: what training must beat, at the cost of milliseconds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay_pods.retrieval.vectors import Rows, unit

PENALTIES = (100.0, 10.0, 1.0, 0.1)
"""Multiples of the mean squared length that is to be explained, the strongest first."""

Matrix = NDArray[np.float64]


class Ridge(NamedTuple):
    """s(q) = unit(e + e W)."""

    weights: Matrix
    """W, [d, d]."""
    penalty: float

    def rows(self, base: Rows) -> Rows:
        """The student's rows for the encoder's: [n, d]."""
        return unit(base + base @ self.weights)


def fit(base: Rows, target: Rows, penalty: float) -> Ridge:
    """W that minimises |base + base W - target|^2 + lambda |W|^2, summed over rows: W = (B'B + lambda I)^-1 B'(T - B).

    Args:
        base: [n, d] unit rows of the training queries.
        target: [n, d] unit rows of what they are to come near.
        penalty: lambda in units of n/d, the mean of the eigenvalues of B'B for unit rows.
    """
    wide, aim = base.astype(np.float64), target.astype(np.float64)
    count, width = wide.shape
    gram = wide.T @ wide + penalty * count / width * np.eye(width)
    return Ridge(np.linalg.solve(gram, wide.T @ (aim - wide)), penalty)
