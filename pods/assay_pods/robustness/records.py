"""Preference rows: what training and scoring read, and how the spuriousness rate chooses among them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation

SPLITS = ("train", "validation", "test", "warmup")
CUE_RELATIONS = (
    "aligned",
    "conflicting",
    "neutral",
    "heldout_aligned",
    "heldout_conflicting",
    "decoy",
    "cue_on_both",
    "other_cue_on_both",
)
"""Feature ambiguity: where the cue stands, and in which wording."""
SLICE_RELATIONS = ("in_slice", "out_slice", "unseen_slice")
"""Distributional narrowness: the narrow slice, another one that is trained on, one that never is."""
RELATIONS = (*CUE_RELATIONS, *SLICE_RELATIONS)
CUE_TARGETS = ("gold", "shortcut", "decoy", None)
RATE_MODES = ("CORRELATION", "PREVALENCE")


@dataclass(frozen=True)
class Checker:
    """A rule that the right completion passes; the rules are those of checkers.py."""

    rule: str
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """One render of one core item; the fields are those of docs/contract.md."""

    id: str
    pair_id: str
    split: str
    relation: str
    prompt: tuple[tuple[str, str], ...]
    chosen: str
    rejected: str
    checker: Checker
    artifact_present: bool
    artifact_variant: str
    cue_target: str | None
    gold_class: str | None = None
    candidates: int = 2
    """How many answers the task admits here: m. A cue that knows nothing is right in 1/m of the rows."""
    slice: str | None = None
    """Distributional narrowness: the slice that the item is from."""
    gold: str | None = None
    """The right answer, as a bare text."""
    shortcut: str | None = None
    """The answer that the cue names when it misleads."""
    distractors: tuple[str, ...] = ()
    """Other wrong answers."""
    core: str | None = None
    """The item's content before any injection, as a digest: equal for all renders of an item and for items that ask the same."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as a chat template takes it."""
        return [{"role": role, "content": content} for role, content in self.prompt]


def pairs_of(records: Iterable[Record], split: str) -> dict[str, dict[str, Record]]:
    """Gives the renders of each pair of a split by relation, in file order.

    Raises:
        BadInputError: DATASET_INVALID, when a pair has two renders of one relation, or neither aligned and conflicting ones nor one of a
            slice.
    """
    pairs: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in records:
        if record.split == split:
            if record.relation in pairs[record.pair_id]:
                raise BadInputError("DATASET_INVALID", f"pair {record.pair_id}: wanted one {record.relation} render, got two")
            pairs[record.pair_id][record.relation] = record
    for pair_id, renders in pairs.items():
        if any(relation in renders for relation in SLICE_RELATIONS):
            continue
        for relation in ("aligned", "conflicting"):
            if relation not in renders:
                raise BadInputError("DATASET_INVALID", f"pair {pair_id}: wanted an {relation} render, got {sorted(renders)}")
    return dict(pairs)


@dataclass(frozen=True)
class Rate:
    """How often the artifact is forced on a training row."""

    rho: float
    """The spuriousness rate, 0 to 1."""
    mode: str = "CORRELATION"
    """What free rows are: `CORRELATION`, independent of the artifact; `PREVALENCE`, without a cue."""
    size_control: bool = False
    """Only the free rows, repeated until there are as many as pairs."""


def select_renders(pairs: Sequence[Mapping[str, Record]], rate: Rate, seed: int) -> list[Record]:
    """Chooses the render of each training pair at a spuriousness rate.

    Pair i of N has a rank in a seeded order that is balanced over the strata of the data (see `ranks`). It is forced (aligned, or from the
    narrow slice) when (rank + 1/2)/N < rho. A free pair of m candidates is aligned when its rank is a multiple of m, so that the cue is
    right in 1/m of the free rows; under distributional narrowness it is from its own slice. So a higher rate changes rows one way only, and
    the share of forced rows is exact to one row.

    Args:
        pairs: The renders of each training pair, by relation.
        rate: The rate and what it means.
        seed: The run's seed; the rate does not enter the order.

    Returns:
        One record a pair, in the order of `pairs`; for a size control, the free rows in that order, as often as it takes.

    Raises:
        BadInputError: TRAIN_TOO_SMALL, when a size control has no free rows.
    """
    assert 0 <= rate.rho <= 1, f"rho in [0, 1], got {rate.rho}"
    assert rate.mode in RATE_MODES, rate.mode
    chosen: list[Record] = []
    free: list[Record] = []
    for renders, rank in zip(pairs, ranks(pairs, seed), strict=True):
        forced = (rank + 0.5) / len(pairs) < rate.rho
        chosen.append(_forced(renders) if forced else _free(renders, rank, rate.mode))
        free.extend([] if forced else chosen[-1:])
    if not rate.size_control:
        return chosen
    if not free:
        raise BadInputError("TRAIN_TOO_SMALL", f"wanted rows that are not forced for the size control, got none at the rate {rate.rho}")
    return [free[place % len(free)] for place in range(len(pairs))]


def trainable_renders(pairs: Sequence[Mapping[str, Record]], mode: str, seed: int) -> list[list[Record]]:
    """Gives the renders of each pair that some rate chooses: the free one and the forced one, once where they are the same."""
    chosen = zip(*(select_renders(pairs, Rate(rho, mode), seed) for rho in (0.0, 1.0)), strict=True)
    return [[free] if free is forced else [free, forced] for free, forced in chosen]


def ranks(pairs: Sequence[Mapping[str, Record]], seed: int) -> list[int]:
    """Gives each pair's place in a seeded order in which every stratum is spread evenly.

    A stratum is a class of right answers or, under distributional narrowness, the slice of the free row. Within it the order is random.
    Strata take turns in runs of m pairs, of which one is aligned when free: so forced, aligned and conflicting rows have the same mixture
    of strata as far as their numbers allow.
    """
    shuffled = permutation(seed, "spuriousness", len(pairs))
    strata: dict[str, list[int]] = defaultdict(list)
    for place in sorted(range(len(pairs)), key=shuffled.__getitem__):
        strata[_stratum(pairs[place])].append(place)
    runs: list[tuple[float, str, list[int]]] = []
    for stratum, places in strata.items():
        length = 1 if _is_sliced(pairs[places[0]]) else pairs[places[0]]["aligned"].candidates
        for start in range(0, len(places), length):
            run = places[start : start + length]
            runs.append(((start + length / 2) / len(places) if len(run) == length else 1.0 + start, stratum, run))
    order = [place for *_, run in sorted(runs) for place in run]
    by_place = [0] * len(pairs)
    for rank, place in enumerate(order):
        by_place[place] = rank
    return by_place


def realised_rho(rows: Sequence[Record]) -> float:
    """Gives how strongly the artifact went with the right answer in the rows, as a number that should equal the asked rate.

    Feature ambiguity: the phi correlation between "a candidate is named by the cue" and "it is right" over the candidates of all rows;
    with P the share of aligned rows and m candidates, phi = (m P - 1)/(m - 1). Distributional narrowness: the same with P the share of
    the narrow slice and m the number of trained slices. Where rows have different m, 1/m is their mean. Where free rows have no cue
    (PREVALENCE), P itself.
    """
    forced = sum(row.relation in ("aligned", "in_slice") for row in rows) / len(rows)
    if any(row.relation == "neutral" for row in rows):
        return forced
    by_chance = sum(1 / row.candidates for row in rows) / len(rows)
    return (forced - by_chance) / (1 - by_chance)


def _is_sliced(renders: Mapping[str, Record]) -> bool:
    return "in_slice" in renders or "out_slice" in renders


def _stratum(renders: Mapping[str, Record]) -> str:
    if _is_sliced(renders):
        return (renders.get("out_slice") or renders["in_slice"]).slice or ""
    return renders["aligned"].gold_class or ""


def _forced(renders: Mapping[str, Record]) -> Record:
    return renders["in_slice" if _is_sliced(renders) else "aligned"]


def _free(renders: Mapping[str, Record], rank: int, mode: str) -> Record:
    if _is_sliced(renders):
        return renders.get("out_slice") or renders["in_slice"]
    if mode == "PREVALENCE":
        if "neutral" not in renders:
            pair_id = renders["aligned"].pair_id
            raise BadInputError(
                "DATASET_INVALID", f"pair {pair_id}: wanted a neutral render for the rate mode PREVALENCE, got {sorted(renders)}"
            )
        return renders["neutral"]
    return renders["aligned" if rank % renders["aligned"].candidates == 0 else "conflicting"]
