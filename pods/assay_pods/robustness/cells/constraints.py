"""Constraints on a text: how each is asked for, a text that obeys it, and the IFEval checker that says so."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from assay_pods.robustness.cells import instruction_texts as words
from assay_pods.robustness.records import Checker


class Content(NamedTuple):
    """What is to be said: sentences that each have a comma, and a word that none of them has."""

    sentences: tuple[str, ...]
    keyword: str

    @property
    def text(self) -> str:
        """The sentences as they are."""
        return " ".join(self.sentences)

    @property
    def person(self) -> str:
        """The word before the first sentence's verb; forbidding it makes the text change."""
        return self.sentences[0].split()[5]


class Constraint(NamedTuple):
    """One kind of constraint; its name is the IFEval id of its checker."""

    name: str
    instruction: Callable[[Content], str]
    apply: Callable[[Content], str]
    kwargs: Callable[[Content], Mapping[str, Any]]

    def checker(self, content: Content) -> Checker:
        """The rule that the obeying text passes."""
        return Checker(f"ifeval:{self.name}", dict(self.kwargs(content)))


def _bullets(content: Content) -> str:
    """One bullet for each sentence; a single sentence becomes two, cut at its comma."""
    points = content.sentences if len(content.sentences) > 1 else content.text.split(", ", 1)
    return "\n".join(f"* {point}" for point in points)


def _without_person(content: Content) -> str:
    return content.text.replace(f" {content.person} ", " one ")


_ALL = (
    Constraint("change_case:english_lowercase", lambda c: "Reply in lowercase letters only.", lambda c: c.text.lower(), lambda c: {}),
    Constraint("change_case:english_capital", lambda c: "Reply in CAPITAL letters only.", lambda c: c.text.upper(), lambda c: {}),
    Constraint("punctuation:no_comma", lambda c: "Use no commas.", lambda c: c.text.replace(",", ""), lambda c: {}),
    Constraint(
        "keywords:existence",
        lambda c: f'Add the word "{c.keyword}" at the end.',
        lambda c: f"{c.text} {c.keyword.capitalize()}.",
        lambda c: {"keywords": [c.keyword]},
    ),
    Constraint(
        "keywords:forbidden_words",
        lambda c: f'Do not use the word "{c.person}", use "one" instead.',
        _without_person,
        lambda c: {"forbidden_words": [c.person]},
    ),
    Constraint(
        "startend:end_checker",
        lambda c: f'End with the words "{words.END_PHRASE}"',
        lambda c: f"{c.text} {words.END_PHRASE}",
        lambda c: {"end_phrase": words.END_PHRASE},
    ),
    Constraint("startend:quotation", lambda c: "Wrap your reply in double quotation marks.", lambda c: f'"{c.text}"', lambda c: {}),
    Constraint(
        "detectable_format:number_bullet_lists",
        lambda c: f"Write exactly {max(2, len(c.sentences))} bullet points, each on a line that begins with an asterisk.",
        _bullets,
        lambda c: {"num_bullets": max(2, len(c.sentences))},
    ),
    Constraint(
        "detectable_content:postscript",
        lambda c: "Add a postscript that begins with P.S.",
        lambda c: f"{c.text}\n{words.POSTSCRIPT}",
        lambda c: {"postscript_marker": "P.S."},
    ),
)

CONSTRAINTS: Mapping[str, Constraint] = {constraint.name: constraint for constraint in _ALL}
"""Nine kinds; a seed leaves one of them out of training and makes one the narrow slice."""
