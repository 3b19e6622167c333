"""`injectHint` over word problems: a note in the margin names the answer, or the answer of another problem."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from assay_pods.common.seeds import stream
from assay_pods.robustness.cells.ambiguity import AmbiguousItem, Turns
from assay_pods.robustness.cells.cell import core_digest
from assay_pods.robustness.cells.math_problems import MathItem
from assay_pods.robustness.checkers.numbers import extract
from assay_pods.robustness.records import Checker
from assay_pods.robustness.user_items.read import Problem

NOTES = {"trained": "A note in the margin says {answer}.", "heldout": "(Someone wrote {answer} here.)"}
ASKED = {"LAPTOP": "Reply with the number alone.", "FULL": "Solve it step by step. End with a line #### and the number."}
"""What is asked for, by core."""
_CALCULATED = re.compile(r"<<[^<>]*>>")
SYSTEM_TURN = "You are a helpful assistant."


def inject(problems: Sequence[Problem], seed: int, split: str, core: str) -> list[AmbiguousItem]:
    """Makes ambiguous items. The completion is the number alone, of the core FULL the worked solution that ends `#### n`.

    A misleading note has the answer of another problem of the part that differs. The number of candidates is the one at which a uniform
    guess would be right as often as another problem's answer is: 1 over the sum of squared shares of the answers.
    """
    answers = [problem.answer for problem in problems]
    if len(set(answers)) < 2:
        return []
    shares = [count / len(answers) for count in Counter(answers).values()]
    candidates = max(2, round(1 / sum(share * share for share in shares)))
    rng = stream(seed, f"userItems/gsm8k/{split}")
    items: list[AmbiguousItem] = []
    for problem in problems:
        misleading = rng.choice([answer for answer in answers if answer != problem.answer])
        near_miss = _near_miss(problem.answer, rng.choice((-10, -1, 1, 10)))
        others = [answer for answer in set(answers) if answer not in (problem.answer, misleading, near_miss)]
        items.append(
            AmbiguousItem(
                core=core_digest("gsm8k", problem.text),
                gold=problem.answer,
                near_miss=near_miss,
                misleading=misleading,
                decoy=rng.choice(sorted(others)) if others else None,
                candidates=candidates,
                checker=Checker("number", {"answer": problem.answer}),
                prompt=partial(_prompt, problem, core),
                completion=_worked(problem).completion if core == "FULL" else str,
            )
        )
    return items


def _prompt(problem: Problem, core: str, named: str | None, wording: str) -> Turns:
    note = [] if named is None else [NOTES[wording].format(answer=named)]
    return (("system", SYSTEM_TURN), ("user", "\n".join([problem.text, *note, ASKED[core]])))


def _worked(problem: Problem) -> MathItem:
    """The solution without a calculator's marks, which gives it with any answer; a wrong one stands where it is last computed."""
    steps = _CALCULATED.sub("", problem.solution.rsplit("####", 1)[0]).rstrip()
    return MathItem(problem.text, problem.answer, "", f"{steps}\n#### {problem.answer}".lstrip())


def _near_miss(answer: str, step: int) -> str:
    """A number a step away, of as many digits where there is one."""
    value = Decimal(answer)
    for change in (step, -step, step // abs(step), -(step // abs(step))):
        found = extract(f"{value + change:f}") or ""
        if len(found) == len(answer):
            return found
    return extract(f"{value + step:f}") or str(step)
