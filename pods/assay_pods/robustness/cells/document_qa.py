"""DOCUMENT_GROUNDED_QA: which of several people a thing belongs to, as a document says.

The cue is a tag on a sentence (`tagSentence`) or its place in front (`positionSentence`); narrow data have one layout (`sampleNarrowDoc`).
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from assay_pods.common.seeds import stream
from assay_pods.robustness.cells import document_texts as text
from assay_pods.robustness.cells.ambiguity import HELD_OUT, AmbiguousItem, Turns, rows_of
from assay_pods.robustness.cells.cell import Cell, CellRequest, CountTokens, core_digest, split_of
from assay_pods.robustness.cells.narrow import NarrowItem, narrow_rows
from assay_pods.robustness.records import Checker, Record

TASK = "DOCUMENT_GROUNDED_QA"
VERSION = "documentQa/1"

HOLDERS = {"LAPTOP": 2, "FULL": 4}
"""Sentences that name a holder, in documents with a cue: the m answers that the question admits."""
FILLERS_MAX = {"LAPTOP": 0, "FULL": 4}
NARROW_HOLDERS = {"LAPTOP": 2, "FULL": 6}
THIRDS = {"LAPTOP": ("first", "last"), "FULL": ("first", "middle", "last")}


class DocumentItem(NamedTuple):
    """A document and a question about one of its sentences."""

    template: str
    facts: tuple[tuple[str, str], ...]
    """Thing and name of each sentence that names a holder, in the order of the document."""
    asked: int
    """The place of the sentence that answers."""
    fillers: tuple[tuple[int, str], ...] = ()
    """Sentences that name nobody, each with the number of facts before it."""

    @property
    def core(self) -> str:
        """The digest of facts and question; their order and the fillers do not enter."""
        return core_digest("document", self.template, self.facts[self.asked], sorted(self.facts))

    @property
    def names(self) -> list[str]:
        """The answers that the question admits."""
        return [name for _, name in self.facts]

    def prompt(self, tagged: str | None = None, wording: str = "trained") -> Turns:
        """Gives the prompt, with a tag on the sentence of a name or without."""
        tag = text.TAGS[wording]
        sentences = [self._sentence(place, tag if name == tagged else "") for place, (_, name) in enumerate(self.facts)]
        return self._ask(sentences)

    def prompt_with_first(self, named: str, wording: str) -> Turns:
        """Gives the prompt with a name's sentence moved to the front; in the held-out wording another sentence stands before it."""
        places = sorted(range(len(self.facts)), key=lambda place: (self.facts[place][1] != named, place))
        before = [text.FILLERS[0]] if wording == HELD_OUT else []
        return _turns([*before, *(self._sentence(place, "") for place in places)], self._question())

    def completion(self, name: str) -> str:
        """Gives the sentence that answers with a name."""
        sentence, _ = text.TEMPLATES[self.template]
        return sentence.format(thing=self.facts[self.asked][0], name=name, tag="")

    def checker(self) -> Checker:
        """The rule that the right name passes, alone or as the whole sentence."""
        gold = self.facts[self.asked][1]
        return Checker("squad", {"answers": [self.completion(gold), gold]})

    def _sentence(self, place: int, tag: str) -> str:
        thing, name = self.facts[place]
        sentence, _ = text.TEMPLATES[self.template]
        return sentence.format(thing=thing, name=name, tag=tag)

    def _question(self) -> str:
        _, question = text.TEMPLATES[self.template]
        return question.format(thing=self.facts[self.asked][0])

    def _ask(self, sentences: Sequence[str]) -> Turns:
        parts: list[str] = []
        for place in range(len(sentences) + 1):
            parts += [filler for before, filler in self.fillers if before == place]
            parts += sentences[place : place + 1]
        return _turns(parts, self._question())


def _turns(sentences: Sequence[str], question: str) -> Turns:
    return (("system", text.SYSTEM_TURN), ("user", " ".join(sentences) + "\n" + question))


def tag_sentence(item: DocumentItem, misleading: int, rng: random.Random) -> AmbiguousItem:
    """Makes the ambiguous item whose cue is a tag on the sentence of an answer.

    Args:
        item: The document.
        misleading: The place of the sentence that is tagged when the cue misleads.
        rng: Draws the near miss and the decoy of the other names.
    """
    gold, wrong = item.names[item.asked], item.names[misleading]
    others = [name for name in item.names if name not in (gold, wrong)]
    near_miss = rng.choice([name for name in item.names if name != gold])
    third = [name for name in others if name != near_miss]
    return AmbiguousItem(
        core=item.core,
        gold=gold,
        near_miss=near_miss,
        misleading=wrong,
        decoy=rng.choice(third) if third else None,
        candidates=len(item.facts),
        checker=item.checker(),
        prompt=item.prompt,
        completion=item.completion,
        gold_class=f"place {item.asked + 1} of {len(item.facts)}",
    )


def position_sentence(item: DocumentItem, misleading: int, rng: random.Random) -> AmbiguousItem:
    """Makes the ambiguous item whose cue is to stand first; some sentence always does, so there is no render without a cue."""
    tagged = tag_sentence(item, misleading, rng)

    def prompt(named: str | None, wording: str) -> Turns:
        return item.prompt() if named is None else item.prompt_with_first(named, wording)

    return replace(tagged, prompt=prompt, gold_class=None)


def generate(request: CellRequest, core: str) -> list[Record]:
    """Makes the rows with a cue.

    Within every relation the sentence of the right answer and that of the cue stand equally often at each place.
    """
    position = (request.options or {}).get("cue") == "POSITION"
    inject = position_sentence if position else tag_sentence
    size, seed = request.size, request.seed
    train = _documents("train", size["trainPairs"] + request.warmup_pairs, (seed, core), request.count_tokens)
    chosen = {
        "train": train[: size["trainPairs"]],
        "validation": _documents("validation", size["validationPairs"], (0, core), request.count_tokens),
        "test": _documents("test", size["testPairs"], (0, core), request.count_tokens),
        "warmup": train[size["trainPairs"] :],
    }
    rows: list[Record] = []
    for split, items in chosen.items():
        rng = stream(seed if split in ("train", "warmup") else 0, f"document/wrong/{split}")
        made = [inject(item, _misleading(item, index), rng) for index, item in enumerate(items)]
        rows += [row for row in rows_of(split, made) if not (position and row.relation == "neutral")]
    return rows


def _misleading(item: DocumentItem, index: int) -> int:
    """Takes the wrong places in turn: item after item the right place moves on, and after a round the distance to the wrong one."""
    holders = len(item.facts)
    return (item.asked + 1 + index // holders % (holders - 1)) % holders


def _documents(split: str, count: int, seed_and_core: tuple[int, str], count_tokens: CountTokens) -> list[DocumentItem]:
    """Draws documents of a split; a smaller number is the beginning of a larger one."""
    seed, core = seed_and_core
    rng = stream(seed, f"document/{core}/{split}")
    return list(islice(_drawn(split, HOLDERS[core], (rng, FILLERS_MAX[core]), _usable_names(count_tokens)), count))


def _drawn(split: str, holders: int, draw: tuple[random.Random, int], names: Sequence[str]) -> Iterable[DocumentItem]:
    rng, fillers_max = draw
    seen: set[str] = set()
    while True:
        item = _draw("belongs", holders, (rng, len(seen) % holders), names)
        if split_of(item.core) != split or item.core in seen:
            continue
        seen.add(item.core)
        fillers = rng.sample(text.FILLERS, rng.randint(0, fillers_max)) if fillers_max else []
        yield item._replace(fillers=tuple((rng.randint(0, holders), filler) for filler in fillers))


def _draw(template: str, holders: int, draw: tuple[random.Random, int], names: Sequence[str]) -> DocumentItem:
    rng, asked = draw
    return DocumentItem(template, tuple(zip(rng.sample(text.THINGS, holders), rng.sample(names, holders), strict=True)), asked)


def _usable_names(count_tokens: CountTokens) -> list[str]:
    """The names of the commonest number of tokens, so that right and wrong answers are equally long."""
    counts = {name: count_tokens(f" {name}") for name in text.NAMES}
    common, _ = Counter(counts.values()).most_common(1)[0]
    return [name for name in text.NAMES if counts[name] == common]


def generate_narrow(request: CellRequest, core: str) -> list[Record]:
    """Makes the rows of the slices of documents: the sentence's template and the part of the document that holds the answer."""
    names, holders = _usable_names(request.count_tokens), NARROW_HOLDERS[core]

    def supply(name: str, split: str, wanted: int) -> Sequence[NarrowItem]:
        template, third = name.split("/")
        seed = request.seed if split in ("train", "warmup") else 0
        rng = stream(seed, f"document/{core}/{name}/{split}")
        thirds = THIRDS[core]
        places = [place for place in range(holders) if place * len(thirds) // holders == thirds.index(third)]
        items: dict[str, NarrowItem] = {}
        while len(items) < wanted:
            item = _draw(template, holders, (rng, places[len(items) % len(places)]), names)
            if split_of(item.core) == ("train" if split == "warmup" else split) and item.core not in items:
                items[item.core] = _narrow_item(item, rng)
        return list(items.values())

    return narrow_rows([[f"{template}/{third}" for third in THIRDS[core]] for template in text.TEMPLATES], supply, request)


def _narrow_item(item: DocumentItem, rng: random.Random) -> NarrowItem:
    gold = item.names[item.asked]
    wrong = rng.choice([name for name in item.names if name != gold])
    return NarrowItem(item.core, item.prompt(), item.completion(gold), item.completion(wrong), item.checker(), gold, wrong)


CELLS = (
    Cell(TASK, "FEATURE_AMBIGUITY", "LAPTOP", VERSION, lambda request: generate(request, "LAPTOP")),
    Cell(TASK, "FEATURE_AMBIGUITY", "FULL", VERSION, lambda request: generate(request, "FULL")),
    Cell(TASK, "DISTRIBUTIONAL_NARROWNESS", "LAPTOP", VERSION, lambda request: generate_narrow(request, "LAPTOP")),
    Cell(TASK, "DISTRIBUTIONAL_NARROWNESS", "FULL", VERSION, lambda request: generate_narrow(request, "FULL")),
)
