"""`confoundTopic` over a user's prompts: the first sentence of a prompt is the text to say in a letter case.

Prompts of IFEval come without replies, and without a model no reply can be made that is right in content. So a prompt gives what is to be
said, the letter case is the constraint, and the topic line is the cue, as in the generated cell (docs/decisions/0015).
"""

import re
from collections.abc import Sequence

from assay_pods.robustness.cells.ambiguity import AmbiguousItem
from assay_pods.robustness.cells.instruction_following import CASES, confound_topic, in_case
from assay_pods.robustness.cells.instruction_texts import CASE_RULES
from assay_pods.robustness.checkers import passes
from assay_pods.robustness.records import Checker
from assay_pods.robustness.user_items.read import Problem

LENGTH_MAX = 300
"""The longest sentence that is taken, in characters."""


def inject(prompts: Sequence[Problem], seed: int, split: str, core: str) -> list[AmbiguousItem]:
    """Makes ambiguous items; a prompt gives none whose first sentence is long, or not English to the detector in either case.

    Both cores have the same items: a prompt has no reply of several sentences that could be taken.
    """
    sentences = dict.fromkeys(_first_sentence(prompt.text) for prompt in prompts)
    usable = [sentence for sentence in sentences if len(sentence) <= LENGTH_MAX and _is_clear(sentence)]
    return [confound_topic(sentence, CASES[place % 2], seed) for place, sentence in enumerate(usable)]


def _first_sentence(text: str) -> str:
    return " ".join(re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0].split())


def _is_clear(sentence: str) -> bool:
    return all(passes(Checker(CASE_RULES[case], {}), in_case(sentence, case)) for case in CASES)
