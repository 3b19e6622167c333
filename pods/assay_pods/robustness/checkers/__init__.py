"""Rules that tell a right text from a wrong one. Every one takes time linear in the text (times the bounded length of its arguments)."""

from collections.abc import Mapping
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.checkers import ifeval, numbers, squad
from assay_pods.robustness.checkers.arguments import short_texts, text_argument
from assay_pods.robustness.checkers.words import has_whole_word
from assay_pods.robustness.records import Checker, Record

RULES = ("keywords:existence", "exact", "number", "squad", "ifeval", *(f"ifeval:{rule}" for rule in ifeval.RULES))
"""Every id that a row may name."""


def passes(checker: Checker, text: str) -> bool:
    """Says whether a text obeys the rule, strictly.

    `keywords:existence` wants every keyword as a whole word, in any letter case. `exact` wants the answer itself, white space at the
    ends and letter case aside. `number` wants the number of the answer, `squad` an exact match by SQuAD's rules, `ifeval:<id>` what the
    official IFEval checker of that name wants, `ifeval` that of all its instructions.

    Raises:
        BadInputError: CHECKER_UNKNOWN, for another rule or arguments that do not fit it.
    """
    measured = scores(checker, text)
    return measured["strict" if "strict" in measured else "exact"] == 1


def scores(checker: Checker, text: str) -> dict[str, float]:
    """Measures a text by the rule.

    Returns:
        0 or 1 as `strict` and `loose` for IFEval's rules; `exact`, 0 or 1, and `f1`, 0 to 1, for `squad`; `exact`, 0 or 1, for the others.

    Raises:
        BadInputError: CHECKER_UNKNOWN, for a rule that is not known or arguments that do not fit it.
    """
    rule, kwargs = checker.rule, checker.kwargs
    if rule == "keywords:existence":
        return {"exact": float(all(has_whole_word(text, word) for word in short_texts(kwargs, "keywords", rule)))}
    if rule == "exact":
        return {"exact": float(text.strip().casefold() == text_argument(kwargs, "answer", rule).strip().casefold())}
    if rule == "number":
        return {"exact": float(numbers.matches(text, text_argument(kwargs, "answer", rule)))}
    if rule == "squad":
        return squad.scores(text, kwargs)
    if rule == "ifeval" or rule.startswith("ifeval:"):
        return ifeval.scores(text, _instructions(rule, kwargs))
    raise BadInputError("CHECKER_UNKNOWN", f"wanted one of the checkers {', '.join(RULES)}, got {rule!r}")


def verify(record: Record) -> None:
    """Holds a record to its own rule.

    Raises:
        BadInputError: CHECKER_FAILED, when the chosen completion fails or the rejected one passes.
    """
    if not passes(record.checker, record.chosen):
        raise BadInputError("CHECKER_FAILED", f"row {record.id}: wanted chosen to pass {record.checker.rule}, got {record.chosen!r}")
    if passes(record.checker, record.rejected):
        raise BadInputError("CHECKER_FAILED", f"row {record.id}: wanted rejected to fail {record.checker.rule}, got {record.rejected!r}")


def _instructions(rule: str, kwargs: Mapping[str, Any]) -> list[ifeval.Instruction]:
    if rule != "ifeval":
        return [ifeval.Instruction(rule.removeprefix("ifeval:"), dict(kwargs))]
    listed = kwargs.get("instructions")
    if not isinstance(listed, list) or not 1 <= len(listed) <= ifeval.INSTRUCTIONS_MAX:
        wanted = f'{{"instructions": [1 to {ifeval.INSTRUCTIONS_MAX} of {{"id", "kwargs"}}]}}'
        raise BadInputError("CHECKER_UNKNOWN", f"ifeval: wanted {wanted}, got {str(dict(kwargs))[:200]}")
    return [ifeval.instruction_of(entry) for entry in listed]
