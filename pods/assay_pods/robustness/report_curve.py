"""Curves of a training: accuracy in distribution and where it suffers, at each quarter."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from assay_pods.robustness.report_families import SIZE_CONTROL, Cell, Family, Run


def curves(family: Family, cell: Cell) -> list[list[dict[str, Any]]]:
    """The curve of each seed that has one, in the order of seeds: its quarters as the run told them, with two figures more.

    `inDistribution` is the accuracy on rows mixed as the training rows were: P A_aligned + (1 - P) A_conflicting, P = rho + (1 - rho)/m
    the share of aligned rows among m candidates. With slices it is P A_in + (1 - P) A_out, A_out the mean over the other trained slices.
    It is None where free rows have no cue (PREVALENCE), because the curve has no rows like them, and where preparing did not say m.
    """
    return [[quarter | _figures(family, cell, run, quarter["accuracy"]) for quarter in run.result.get("curve") or []] for run in cell.runs]


def _figures(family: Family, cell: Cell, run: Run, accuracy: Mapping[str, float]) -> dict[str, float | None]:
    diagnostics: Mapping[str, Any] = family.prepared.get(run.seed, {}).get("diagnostics") or {}
    usual, suffers = _sides(diagnostics, accuracy) if family.narrow else (accuracy.get("aligned"), accuracy.get("conflicting"))
    share = _usual_share(family, cell, diagnostics)
    mixed = None if share is None or usual is None or suffers is None else share * usual + (1 - share) * suffers
    return {"inDistribution": mixed, "outSlice" if family.narrow else "conflicting": suffers}


def _sides(diagnostics: Mapping[str, Any], accuracy: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Accuracy in the narrow slice and outside of it; a curve names slices, preparing says which one is narrow."""
    slices: Mapping[str, list[str]] = diagnostics.get("slices") or {}
    sides = [[accuracy[name] for name in slices.get(relation, []) if name in accuracy] for relation in ("in_slice", "out_slice")]
    inside, outside = (fmean(side) if side else None for side in sides)
    return inside, outside


def _usual_share(family: Family, cell: Cell, diagnostics: Mapping[str, Any]) -> float | None:
    """The share of training rows with the cue on the right answer, or of the narrow slice."""
    candidates = diagnostics.get("candidates")
    if candidates is None or cell.rate is None or family.spec["rateMode"] != "CORRELATION":
        return None
    free = 1 / candidates["least"]
    if candidates["least"] != candidates["most"]:
        free = next((at["forcedShare"] for at in diagnostics.get("rates") or [] if at["spuriousness"] == 0.0), None)
    rho = 0.0 if cell.key.variant == SIZE_CONTROL else cell.rate
    return None if free is None else rho + (1 - rho) * free
