"""IFEval's verifiable instructions, strict and loose, with the verdicts of the official checkers.

What differs from them on purpose, and why (docs/decisions/0015): words from data are searched for as they stand and never as patterns,
because a pattern from data can take exponential time; arguments that the official code would draw at random where they are missing are
refused; the language detector has a fixed seed. Three rules need files of nltk that no package carries, so they are named as not
checkable instead of guessed: see UNCHECKABLE.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.checkers import ifeval_content, ifeval_format

INSTRUCTIONS_MAX = 16
"""How many instructions a prompt may have."""

RULES = {**ifeval_content.RULES, **ifeval_format.RULES}
"""The check behind each instruction id: (text, arguments, id) to whether the text follows it."""

UNCHECKABLE = {
    "length_constraints:number_sentences": "it counts sentences by nltk's punkt model, which no package carries",
    "change_case:capital_word_frequency": "it splits words by nltk's punkt model, which no package carries",
}
"""Instructions of the official set that cannot be checked without a network, and why."""


@dataclass(frozen=True)
class Instruction:
    """One verifiable instruction: its id as in IFEval, and its arguments."""

    id: str
    kwargs: Mapping[str, Any]


def instruction_of(entry: Any) -> Instruction:
    """Reads `{"id", "kwargs"}`. Raises BadInputError CHECKER_UNKNOWN when it is something else."""
    if isinstance(entry, dict) and isinstance(entry.get("id"), str) and isinstance(entry.get("kwargs"), dict):
        return Instruction(entry["id"], entry["kwargs"])
    raise BadInputError("CHECKER_UNKNOWN", f'ifeval: wanted {{"id": text, "kwargs": object}}, got {str(entry)[:200]}')


def follows(text: str, instruction: Instruction) -> bool:
    """Says whether a text follows an instruction; a blank text follows none.

    Raises:
        BadInputError: CHECKER_UNKNOWN, for an instruction that is not known or not checkable, or arguments that do not fit it.
    """
    rule = RULES.get(instruction.id)
    if rule is None:
        known = UNCHECKABLE.get(instruction.id, f"wanted one of {', '.join(RULES)}")
        raise BadInputError("CHECKER_UNKNOWN", f"ifeval:{instruction.id} cannot be checked: {known}")
    kwargs = {name: value for name, value in instruction.kwargs.items() if value is not None}
    followed = rule(text, kwargs, f"ifeval:{instruction.id}")
    return followed and bool(text.strip())


def scores(text: str, instructions: Sequence[Instruction]) -> dict[str, float]:
    """Gives 0 or 1 as `strict` (the text follows every instruction) and `loose` (each is followed by some relaxed form of the text)."""
    forms = list(loose_forms(text))
    return {
        "strict": float(all([follows(text, instruction) for instruction in instructions])),
        "loose": float(all([any(follows(form, instruction) for form in forms) for instruction in instructions])),
    }


def loose_forms(text: str) -> Iterator[str]:
    """Gives the text without its first line, its last line or both, each with and without asterisks; the text itself comes first."""
    lines = text.split("\n")
    forms = (text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    for form in forms:
        yield form
        yield form.replace("*", "")
