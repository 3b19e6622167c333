"""CONSTRAINED_INSTRUCTION_FOLLOWING: a text is to be said under a constraint.

`confoundTopic`: a topic may go with the constraint. `sampleNarrowConstraint`: most constraints are of one kind. The text to say is in the
prompt, so that right and wrong completion have the same content whatever the topic is, and the topic is all that the cue changes. Whether
a completion is right is what IFEval's checker of the constraint says. Letter case changes how many tokens a text has: here no claim rests
on summed log-probabilities, and the generated text is what counts.
"""

import random
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import count, islice

from assay_pods.common.seeds import stream
from assay_pods.robustness.cells import instruction_texts as text
from assay_pods.robustness.cells.ambiguity import AmbiguousItem, Turns, rows_of
from assay_pods.robustness.cells.cell import Cell, CellRequest, core_digest, first_of, split_of
from assay_pods.robustness.cells.constraints import CONSTRAINTS, Content
from assay_pods.robustness.cells.narrow import NarrowItem, narrow_rows, roles
from assay_pods.robustness.checkers import passes
from assay_pods.robustness.records import Checker, Record

TASK = "CONSTRAINED_INSTRUCTION_FOLLOWING"
VERSION = "instructionFollowing/1"
SENTENCES = {"LAPTOP": (1, 1), "FULL": (4, 8)}
"""How many sentences a text has, from and to."""
CASES = ("lower", "upper")
DRAWS_A_TEXT_MAX = 200
"""How many texts are drawn for one that is wanted before a split counts as exhausted."""


def in_case(words: str, case: str) -> str:
    """Gives a text in lower or in upper case."""
    return words.lower() if case == "lower" else words.upper()


def confound_topic(content: str, case: str, seed: int) -> AmbiguousItem:
    """Makes the ambiguous item whose cue is a topic that has a letter case for a habit.

    Args:
        content: The text to say.
        case: What the instruction asks for, `lower` or `upper`.
        seed: The run's seed: which topic has which habit is exchanged with its parity.
    """
    other = CASES[1 - CASES.index(case)]
    return AmbiguousItem(
        core=core_digest("instruction", content),
        gold=case,
        near_miss=other,
        misleading=other,
        decoy=None,
        candidates=2,
        checker=Checker(text.CASE_RULES[case], {}),
        prompt=partial(_topic_prompt, content, case, seed),
        completion=partial(in_case, content),
        gold_class=case,
    )


def ambiguous(request: CellRequest, core: str) -> list[Record]:
    """Makes the rows with a topic. In every split both cases are asked for equally often; test texts are the same for every seed."""
    size, seed = request.size, request.seed
    train = _contents("train", size["trainPairs"] + request.warmup_pairs, (seed, core))
    contents = {
        "train": train[: size["trainPairs"]],
        "validation": _contents("validation", size["validationPairs"], (0, core)),
        "test": _contents("test", size["testPairs"], (0, core)),
        "warmup": train[size["trainPairs"] :],
    }
    return [
        row
        for split, chosen in contents.items()
        for row in rows_of(split, [confound_topic(said.text, CASES[index % 2], seed) for index, said in enumerate(chosen)])
    ]


def narrow(request: CellRequest, core: str) -> list[Record]:
    """Makes the rows of narrow constraints.

    The wrong completion obeys another trained constraint instead, so every form is right in some rows and wrong in others.
    """
    groups = [(name,) for name in CONSTRAINTS]
    trained = roles(groups, request.seed).trained

    def supply(name: str, split: str, wanted: int) -> Sequence[NarrowItem]:
        fixed = split not in ("train", "warmup")
        offset = request.size["trainPairs"] if split == "warmup" else 0
        drawn = _contents(split if fixed else "train", wanted + offset, (0 if fixed else request.seed, core))
        return [_constrained(name, said, trained, place) for place, said in enumerate(drawn[offset:])]

    return narrow_rows(groups, supply, request)


def _constrained(name: str, said: Content, trained: Sequence[str], place: int) -> NarrowItem:
    """Asks for one constraint and sets against it a text made for another one, which fails the first."""
    constraint = CONSTRAINTS[name]
    checker = constraint.checker(said)
    others = [other for other in trained if other != name]
    for step in range(len(others)):
        other = others[(place + step) % len(others)]
        wrong = CONSTRAINTS[other].apply(said)
        if not passes(checker, wrong):
            return NarrowItem(
                core=core_digest("instruction", name, said.text),
                prompt=_turns([constraint.instruction(said), text.REPEAT.format(text=said.text)]),
                chosen=constraint.apply(said),
                rejected=wrong,
                checker=checker,
                gold=name,
                shortcut=other,
            )
    raise AssertionError(f"some other constraint's text fails {name}")


def _topic_prompt(content: str, case: str, seed: int, named: str | None, wording: str) -> Turns:
    place = 0 if named is None else (CASES.index(named) + seed + 1) % 2
    topic = text.TOPICS["none" if named is None else wording][place]
    return _turns([text.TOPIC_LINE.format(topic=topic), text.CASE_INSTRUCTIONS[case], text.REPEAT.format(text=content)])


def _turns(lines: Iterable[str]) -> Turns:
    return (("system", text.SYSTEM_TURN), ("user", "\n".join(lines)))


@lru_cache(maxsize=32)
def _contents(split: str, wanted: int, seed_and_core: tuple[int, str]) -> tuple[Content, ...]:
    """Draws texts of a split, each once; a text's split depends on nothing but the text. SIZE_TOO_LARGE, when so many are not found.

    A text must be English to the language detector in either case, or its own right completion would fail the official checker.
    """
    seed, core = seed_and_core
    rng = stream(seed, f"instruction/{core}/{split}")
    seen: set[str] = set()
    drawn = (_draw(rng, SENTENCES[core]) for _ in islice(count(), max(1, wanted) * DRAWS_A_TEXT_MAX))
    fresh = (said for said in drawn if said.text not in seen and not seen.add(said.text))
    ours = (said for said in fresh if split_of(core_digest("instruction", said.text)) == split)
    clear = list(islice((said for said in ours if _is_clear(said.text)), wanted))
    return tuple(first_of(clear, wanted, f"{split} texts with the core {core}"))


def _draw(rng: random.Random, sentences: tuple[int, int]) -> Content:
    parts = [
        text.SENTENCE.format(
            time=rng.choice(text.TIMES),
            adjective=rng.choice(text.ADJECTIVES),
            person=rng.choice(text.PERSONS),
            verb=rng.choice(text.VERBS),
            place=rng.choice(text.PLACES),
        )
        for _ in range(rng.randint(*sentences))
    ]
    return Content(tuple(parts), rng.choice(text.KEYWORDS))


def _is_clear(words: str) -> bool:
    return all(passes(Checker(text.CASE_RULES[case], {}), in_case(words, case)) for case in CASES)


CELLS = tuple(
    Cell(TASK, artifact, core, VERSION, partial(generate, core=core))
    for artifact, generate in (("FEATURE_AMBIGUITY", ambiguous), ("DISTRIBUTIONAL_NARROWNESS", narrow))
    for core in SENTENCES
)
