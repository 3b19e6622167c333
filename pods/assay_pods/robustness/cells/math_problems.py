"""Arithmetic as core items: sums, the slices of arithmetic, and stories with worked solutions."""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from assay_pods.robustness.cells.cell import core_digest
from assay_pods.robustness.cells.math_stories import NAMES, STORIES

LARGEST_ANSWER = 99


class MathItem(NamedTuple):
    """A problem with a number as its answer."""

    question: str
    gold: str
    core: str
    """The digest of operation and numbers; wording and names do not enter."""
    solution: str | None = None
    """Worked steps that end with a line `#### <gold>`; None where the answer stands alone."""

    def completion(self, answer: str) -> str:
        """Gives the completion that ends in an answer: the number, or the solution with its result exchanged where it is last computed."""
        if self.solution is None:
            return answer
        steps, _ = self.solution.rsplit("####", 1)
        results = list(re.finditer(rf"(?<![\d.,]){re.escape(self.gold)}(?![\d]|[.,]\d)", steps))
        if results:
            steps = steps[: results[-1].start()] + answer + steps[results[-1].end() :]
        return f"{steps}#### {answer}"


def short_sums() -> list[MathItem]:
    """Gives the 405 sums of a two-digit and a one-digit number that carry nothing."""
    return [
        MathItem(f"What is {left} + {right}?", str(left + right), core_digest("add", left, right))
        for left in range(10, 100)
        for right in range(1, 10)
        if left % 10 + right <= 9
    ]


WORDINGS = ("What is {}?", "Work out {}.", "How much is {}?", "Calculate {}.", "Find {}.", "Tell me what {} is.")
"""Each problem of a slice is asked in all of these: slices of one-digit numbers have few problems."""

ITEMS_A_SLICE = 6_000
"""Worked problems are also asked by people, so many that a slice has about this number of items where its problems are few."""


def slices(worked: bool) -> dict[str, list[MathItem]]:
    """Gives the problems of each slice of arithmetic.

    Args:
        worked: Whether completions are worked solutions.
    """
    made: dict[str, list[MathItem]] = {}
    for name, problems in _problems():
        made[name] = [
            MathItem(wording.format(terms), str(result), core, f"{steps}\n#### {result}" if worked else None)
            for wording in (_asked_by_people(len(problems)) if worked else WORDINGS)
            for terms, steps, result, core in problems
        ]
    return made


def _asked_by_people(problems: int) -> list[str]:
    people = ITEMS_A_SLICE // (problems * len(WORDINGS))
    asked = [f"{name} asks you: {wording}" for name in NAMES[:people] for wording in WORDINGS]
    return [*WORDINGS, *asked]


class _Problem(NamedTuple):
    terms: str
    steps: str
    result: int
    core: str


def _problem(terms: str, result: int, steps: str | None = None) -> _Problem:
    """Makes a problem; sums and products of equal terms in another order are one core item."""
    one_kind = "-" not in terms and ("+" in terms) != ("x" in terms)
    content = sorted(re.findall(r"\d+", terms), key=int) if one_kind else [terms]
    return _Problem(terms, steps or f"{terms} = {result}", result, core_digest("x" if "x" in terms else "+", *content))


def _problems() -> Iterator[tuple[str, list[_Problem]]]:
    digit = range(1, 10)
    yield "add-1d", [_problem(f"{a} + {b}", a + b) for a in digit for b in digit]
    yield "add-2d", [_problem(f"{a} + {b}", a + b) for a in range(10, 90) for b in range(10, 90) if a + b <= LARGEST_ANSWER]
    yield "sub-1d", [_problem(f"{a + b} - {b}", a) for a in digit for b in digit]
    yield "sub-2d", [_problem(f"{a} - {b}", a - b) for a in range(20, 100) for b in range(10, a - 9)]
    yield "mul-1d", [_problem(f"{a} x {b}", a * b) for a in digit for b in digit]
    yield (
        "two-step",
        [
            _problem(f"{a} + {b} - {c}", a + b - c, f"{a} + {b} = {a + b}, {a + b} - {c} = {a + b - c}")
            for a in digit
            for b in digit
            for c in range(1, a + b)
        ],
    )
    yield (
        "add-3-terms",
        [
            _problem(f"{a} + {b} + {c}", a + b + c, f"{a} + {b} = {a + b}, {a + b} + {c} = {a + b + c}")
            for a in digit
            for b in digit
            for c in digit
        ],
    )


def story(rng: random.Random) -> MathItem | None:
    """Draws a story with names and numbers; None where the numbers do not make a sensible one with a two-digit answer."""
    template = rng.choice(STORIES)
    numbers = {name: rng.randint(low, high) for name, (low, high) in template.ranges.items()}
    name, other = rng.sample(NAMES, 2)
    values = template.work(**numbers)
    answer = values["answer"]
    if not 10 <= answer <= LARGEST_ANSWER or any(value <= 0 for value in values.values()):
        return None
    words = numbers | values | {"name": name, "other": other}
    return MathItem(
        template.question.format(**words),
        str(answer),
        core_digest("story", template.title, *(numbers[key] for key in sorted(numbers))),
        template.solution.format(**words) + f"\n#### {answer}",
    )
