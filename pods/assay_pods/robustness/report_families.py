"""The plan of an experiment with what came of it: families (task and artifact), and their cells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay_pods.robustness.estimates import RELATIONS
from assay_pods.robustness.item_values import Column, ItemValues
from assay_pods.robustness.renders import Renders
from assay_pods.robustness.report_items import Group, Table

BASE, START = "BASE", "START"
NARROW = "DISTRIBUTIONAL_NARROWNESS"
SIZE_CONTROL = "SIZE_CONTROL"
CHECKED_BY_TEXT = ("CONSTRAINED_INSTRUCTION_FOLLOWING", "FEATURE_AMBIGUITY")
"""The family whose accuracy is the checker's on generated text, because its answers cannot have equal token counts."""

TEXT_SCORES = ("strict", "exact")
MIN_TEXTS = 30
"""Fewer generated texts in a group, over all seeds, carry no accuracy: the same bound as for a worst group."""

FamilyKey = tuple[str | None, str | None]
Variant = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """A cell within its family.

    `rate` is None for what was not trained here, `variant` is its name, `learning_rate` is None where the plan does not tell it.
    """

    method: str
    rate: float | None = None
    variant: str | None = None
    learning_rate: float | None = None

    @property
    def order(self) -> tuple[str, float, str, float]:
        """For sorting."""
        return (self.method, self.learning_rate or 0.0, self.variant or "", -1.0 if self.rate is None else self.rate)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the plan that gave a result."""

    seed: int
    path: Path
    table: Table
    items_sha256: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """One run of the plan without a full result, and why."""

    family: FamilyKey
    key: CellKey
    variant: Variant | None
    seed: int
    reason: str

    def document(self) -> dict[str, Any]:
        """As the report lists it."""
        shown: dict[str, Any] = {"task": self.family[0], "artifact": self.family[1], "method": self.key.method}
        shown |= {"spuriousness": self.key.rate, "variant": None if self.variant is None else dict(self.variant)}
        return shown | {"learningRate": self.key.learning_rate, "seed": self.seed, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Cell:
    """All seeds of one method at one rate, variant and learning rate."""

    family: FamilyKey
    key: CellKey
    variant: Variant | None
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    missing: tuple[Missing, ...]
    by_text: bool = False
    """Whether accuracy is the checker's on generated text instead of forced choice."""
    too_few_texts: int | None = None
    """Where the accuracy should be the checker's and is not: how many texts the smallest group has over all seeds."""

    @property
    def method(self) -> str:
        """The method, or BASE or START."""
        return self.key.method

    @property
    def rate(self) -> float | None:
        """The spuriousness rate."""
        return self.key.rate

    @property
    def complete(self) -> bool:
        """Whether every planned seed has a full result."""
        return not self.missing

    @property
    def name(self) -> str:
        """What names the cell in salts and sentences."""
        rate = "" if self.rate is None else f" at rho {self.rate:g}"
        variant = "" if self.key.variant is None else f" with {self.key.variant}"
        learning = "" if self.key.learning_rate is None else f" (learning rate {self.key.learning_rate:g})"
        return f"{self.method}{rate}{variant}{learning}"

    def identity(self) -> dict[str, Any]:
        """The fields by which entries of the report's lists name their cell."""
        shown: dict[str, Any] = {"task": self.family[0], "artifact": self.family[1], "method": self.method, "spuriousness": self.rate}
        return shown | {"variant": None if self.variant is None else dict(self.variant), "learningRate": self.key.learning_rate}

    def renders(self, split: str) -> Renders:
        """The scored items of one split over the seeds that gave a result."""
        present = [relation for relation in RELATIONS if any((split, relation) in run.table.groups for run in self.runs)]
        chosen = {relation: self._values(split, relation, lambda group: group.score) for relation in present}
        margins = {relation: self._values(split, relation, lambda group: group.margin) for relation in present}
        unequal = any(group.unequal for run in self.runs for group in run.table.groups.values())
        by_token = {relation: self._values(split, relation, lambda group: group.by_token) for relation in present} if unequal else {}
        classes = {key: name for run in self.runs for key, name in run.table.classes.items()}
        slices = {run.seed: run.table.slices for run in self.runs}
        generated = self._generated(split, present)
        scores = chosen | _primary(generated) if self.by_text else chosen
        seeds = tuple(run.seed for run in self.runs)
        return Renders(seeds, scores, margins, classes, slices, chosen, by_token, generated)

    def _values(self, split: str, relation: str, column: Any) -> ItemValues:
        nothing: dict[str, float] = {}
        empty = ItemValues.of({0: nothing}).by_seed[0]
        groups = {run.seed: run.table.groups.get((split, relation)) for run in self.runs}
        return ItemValues({seed: empty if group is None else column(group) for seed, group in groups.items()})

    def _generated(self, split: str, relations: Iterable[str]) -> dict[str, dict[str, ItemValues]]:
        found: dict[str, dict[str, ItemValues]] = {}
        for relation in relations:
            groups = {run.seed: run.table.groups.get((split, relation)) for run in self.runs}
            for score in sorted({name for group in groups.values() if group is not None for name in group.generated}):
                columns = {seed: _generated_column(group, score) for seed, group in groups.items()}
                if all(column is not None for column in columns.values()):
                    values = ItemValues({seed: column for seed, column in columns.items() if column is not None})
                    found.setdefault(score, {})[relation] = values
        return found


def texts_scored(run: Run, split: str) -> int:
    """How many items of a split have an aligned and a conflicting text that a checker judged."""
    groups = [run.table.groups.get((split, relation)) for relation in ("aligned", "conflicting")]
    found = [{key for score in TEXT_SCORES for key in _keys(group, score)} for group in groups]
    return len(found[0] & found[1])


def _keys(group: Group | None, score: str) -> tuple[str, ...]:
    column = _generated_column(group, score)
    return () if column is None else column.keys


def _generated_column(group: Group | None, score: str) -> Column | None:
    return None if group is None else group.generated.get(score)


def _primary(generated: Mapping[str, Mapping[str, ItemValues]]) -> dict[str, ItemValues]:
    """The checker's score on generated text, where aligned and conflicting texts were both generated."""
    for score in TEXT_SCORES:
        found = generated.get(score, {})
        if "aligned" in found and "conflicting" in found:
            mine, theirs = found["aligned"].common(found["conflicting"])
            return dict(found) | {"aligned": mine, "conflicting": theirs}
    return {}


@dataclass(frozen=True, slots=True)
class Family:
    """One task with one artifact, and all its cells; both are None for uploaded preference rows."""

    spec: Mapping[str, Any]
    task: str | None
    artifact: str | None
    cells: Mapping[CellKey, Cell]
    prepared: Mapping[int, Mapping[str, Any]]
    selection: Mapping[str, Any] | None

    @property
    def key(self) -> FamilyKey:
        """Task and artifact."""
        return (self.task, self.artifact)

    @property
    def narrow(self) -> bool:
        """Whether the artifact is distributional narrowness."""
        return self.artifact == NARROW

    @property
    def name(self) -> str:
        """In words."""
        return "uploaded rows" if self.task is None else f"{self.task} x {self.artifact}"

    @property
    def methods(self) -> list[str]:
        """The trained methods, in alphabetical order: the order says nothing about them."""
        return sorted({key.method for key in self.cells if key.method not in (BASE, START)})

    @property
    def trained(self) -> list[Cell]:
        """Every cell that was trained, plain ones and variants."""
        return [cell for key, cell in self.cells.items() if key.method not in (BASE, START)]

    def learning_rates(self, method: str) -> list[float | None]:
        """The learning rates that were planned for a method's plain cells; [None] where the plan does not tell them."""
        found = {key.learning_rate for key in self.cells if key.method == method and key.variant is None}
        return sorted(found, key=lambda rate: rate or 0.0)

    @property
    def whole_grid(self) -> bool:
        """Whether some method was trained at several learning rates."""
        return any(len(self.learning_rates(method)) > 1 for method in self.methods)

    def find(self, method: str, rate: float | None, learning_rate: float | None = None, variant: str | None = None) -> Cell | None:
        """The cell of a method at a rate, if it was planned."""
        return self.cells.get(CellKey(method, rate, variant, learning_rate))

    def control_of(self, cell: Cell) -> Cell | None:
        """The plain cell at rho = 0 of the same method and learning rate."""
        return self.find(cell.method, 0.0, cell.key.learning_rate)

    @property
    def missing(self) -> list[Missing]:
        """Every run without a full result, in the order of the plan."""
        return [one for cell in self.cells.values() for one in cell.missing]


@dataclass(frozen=True, slots=True)
class Experiment:
    """The whole plan with what came of it."""

    spec: Mapping[str, Any]
    families: tuple[Family, ...]

    @property
    def cells(self) -> list[Cell]:
        """The cells of all families."""
        return [cell for family in self.families for cell in family.cells.values()]

    @property
    def missing(self) -> list[Missing]:
        """Every run without a full result."""
        return [one for family in self.families for one in family.missing]

    @property
    def methods(self) -> list[str]:
        """The trained methods of all families."""
        return sorted({method for family in self.families for method in family.methods})

    @property
    def seeds(self) -> list[int]:
        """All planned seeds."""
        return sorted({seed for cell in self.cells for seed in cell.seeds})
