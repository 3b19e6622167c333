"""MATH_REASONING: short sums and worked stories, with a note that names a number (`injectHint`) or from few slices (`sampleNarrowMath`)."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from assay_pods.common.seeds import stream
from assay_pods.robustness.cells import math_problems
from assay_pods.robustness.cells.ambiguity import AmbiguousItem, Turns, rows_of
from assay_pods.robustness.cells.cell import Cell, CellRequest, first_of, shuffled, split_of, train_and_warmup
from assay_pods.robustness.cells.math_problems import MathItem
from assay_pods.robustness.cells.narrow import NarrowItem, narrow_rows
from assay_pods.robustness.records import Checker, Record

TASK = "MATH_REASONING"
VERSION = "mathReasoning/1"

SYSTEM_TURN = "You are a helpful assistant."
NOTES = {"trained": "A note in the margin says {answer}.\n", "heldout": "(Someone wrote {answer} here.)\n"}
"""A note makes no statement about any quantity of the problem. It stands before the question: small models copy what stands after it."""

SHOTS = (("What is 23 + 5?", "28"), ("What is 61 + 7?", "68"), ("What is 42 + 6?", "48"), ("What is 84 + 3?", "87"))
"""Worked examples of the short sums, as turns of the chat and without a note; their sums are no items."""

TWO_DIGITS = range(10, 100)
"""The answers that generated problems admit."""


def inject_hint(item: MathItem, wrong: tuple[str, str, str | None], candidates: int, worked_examples: Turns = ()) -> AmbiguousItem:
    """Makes the ambiguous item of a problem.

    Args:
        item: The problem.
        wrong: The near miss, the misleading answer and the decoy.
        candidates: How many answers are admitted.
        worked_examples: Turns before the question.
    """

    def prompt(named: str | None, wording: str) -> Turns:
        note = "" if named is None else NOTES[wording].format(answer=named)
        return (("system", SYSTEM_TURN), *worked_examples, ("user", note + item.question))

    near_miss, misleading, decoy = wrong
    checker = Checker("number", {"answer": item.gold})
    return AmbiguousItem(item.core, item.gold, near_miss, misleading, decoy, candidates, checker, prompt, item.completion)


def generate_short(request: CellRequest) -> list[Record]:
    """Makes the rows of the sums of a two-digit and a one-digit number.

    Raises:
        BadInputError: SIZE_TOO_LARGE.
    """
    examples = worked_examples()
    shown = {question for question, _ in SHOTS}
    sums = [item for item in math_problems.short_sums() if item.question not in shown]
    return _ambiguous_rows(sums, request, examples)


def generate_worked(request: CellRequest) -> list[Record]:
    """Makes the rows of the stories, whose completions are worked solutions that end with `#### n`."""
    wanted = {
        "train": request.size["trainPairs"] + request.warmup_pairs,
        "validation": request.size["validationPairs"],
        "test": request.size["testPairs"],
    }
    return _ambiguous_rows([item for split, count in wanted.items() for item in _stories(split, count, request.seed)], request, ())


def generate_narrow(request: CellRequest, worked: bool) -> list[Record]:
    """Makes the rows of the slices of arithmetic.

    Raises:
        BadInputError: SIZE_TOO_LARGE.
    """
    slices = math_problems.slices(worked)

    def supply(name: str, split: str, wanted: int) -> Sequence[NarrowItem]:
        of_split = [item for item in slices[name] if split_of(item.core) == ("train" if split == "warmup" else split)]
        seed = request.seed if split in ("train", "warmup") else 0
        ordered = shuffled(of_split, seed, f"math/{name}")
        chosen = ordered[::-1][:wanted] if split == "warmup" else ordered[:wanted]
        return [_narrow_item(item, stream(seed, f"wrong/{item.question}"), () if worked else worked_examples()) for item in chosen]

    return narrow_rows([[name] for name in slices], supply, request)


def worked_examples() -> Turns:
    """Gives the turns before a short sum."""
    return tuple(turn for question, answer in SHOTS for turn in (("user", question), ("assistant", answer)))


def _ambiguous_rows(items: Iterable[MathItem], request: CellRequest, examples: Turns) -> list[Record]:
    by_split: dict[str, list[MathItem]] = defaultdict(list)
    for item in items:
        by_split[split_of(item.core)].append(item)
    train, warmup = train_and_warmup(shuffled(by_split["train"], request.seed, "math/train"), request, TASK)
    chosen: dict[str, list[MathItem]] = {"train": train}
    for split in ("validation", "test"):
        ordered = shuffled(sorted(by_split[split]), 0, f"math/{split}") if examples else by_split[split]
        chosen[split] = first_of(ordered, request.size[f"{split}Pairs"], f"{split} pairs of {TASK}")
    chosen["warmup"] = warmup
    return [
        record
        for split, some in chosen.items()
        for record in rows_of(
            split, [inject_hint(item, _wrong_answers(item, split, request.seed), len(TWO_DIGITS), examples) for item in some]
        )
    ]


def _stories(split: str, count: int, seed: int) -> Iterable[MathItem]:
    """Draws different stories of a split until there are enough; a smaller split is the beginning of a larger one."""
    rng = stream(seed if split == "train" else 0, f"math/stories/{split}")
    seen: set[str] = set()
    for _ in range(400 * count):
        if len(seen) == count:
            return
        item = math_problems.story(rng)
        if item is not None and split_of(item.core) == split and item.core not in seen:
            seen.add(item.core)
            yield item


def _wrong_answers(item: MathItem, split: str, seed: int) -> tuple[str, str, str]:
    """Gives the near miss, the misleading answer, uniform over all wrong ones, and a third one."""
    rng = stream(seed if split in ("train", "warmup") else 0, f"math/wrong/{item.core}")
    gold = int(item.gold)
    near = near_miss(gold, rng)
    misleading = rng.choice([answer for answer in TWO_DIGITS if answer != gold])
    decoy = rng.choice([answer for answer in TWO_DIGITS if answer not in (gold, near, misleading)])
    return str(near), str(misleading), str(decoy)


def near_miss(gold: int, rng: random.Random) -> int:
    """Gives a wrong answer of as many digits: one or ten away."""
    near = [gold + step for step in (-10, -1, 1, 10)]
    return rng.choice([answer for answer in near if answer > 0 and len(str(answer)) == len(str(gold))])


def _narrow_item(item: MathItem, rng: random.Random, examples: Turns) -> NarrowItem:
    wrong = str(near_miss(int(item.gold), rng))
    prompt = (("system", SYSTEM_TURN), *examples, ("user", item.question))
    checker = Checker("number", {"answer": item.gold})
    return NarrowItem(item.core, prompt, item.completion(item.gold), item.completion(wrong), checker, item.gold, wrong)


CELLS = (
    Cell(TASK, "FEATURE_AMBIGUITY", "LAPTOP", VERSION, generate_short),
    Cell(TASK, "FEATURE_AMBIGUITY", "FULL", VERSION, generate_worked),
    Cell(TASK, "DISTRIBUTIONAL_NARROWNESS", "LAPTOP", VERSION, lambda request: generate_narrow(request, worked=False)),
    Cell(TASK, "DISTRIBUTIONAL_NARROWNESS", "FULL", VERSION, lambda request: generate_narrow(request, worked=True)),
)
