"""A collection with a planted effect: queries call a topic by a name that no document knows, and a dictionary says what the name means.

It shows that the machinery works; it says nothing about whether distillation helps on real text. Names are invented, so no encoder knows
them. BM25 finds nothing, because queries and documents have no word in common. The dictionary's text finds everything. A student that
learnt the dictionary from some phrasings of a topic finds it by other phrasings, and cannot know the name of a topic that it never met.

Decoys are documents about further invented names, relevant to nothing. To an encoder that knows no name they are the nearest texts, so
that base finds nothing instead of a little by chance, and losing that little is not taken for an effect of training.
"""

import random
import re
from collections.abc import Mapping
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import stream
from assay_pods.retrieval.collections.collection import Collection
from assay_pods.retrieval.collections.topic_words import TOPICS
from assay_pods.retrieval.files import Document, Query

PHRASINGS = (
    "what is {name}",
    "tell me about {name}",
    "how does {name} work",
    "where can I learn more about {name}",
    "please explain {name} to me",
    "why would people care about {name}",
    "who knows something about {name}",
    "I want to read about {name}",
    "what should I know about {name}",
    "is {name} interesting",
    "show me everything about {name}",
    "does anyone understand {name}",
    "can you describe {name}",
    "give me facts about {name}",
    "which things belong to {name}",
    "what does {name} mean",
)
"""None of their words stands in a document."""

_FRAMES = (
    "The {0} and the {1} stand beside a {2}. Near the {3} lies a {4}.",
    "A {0} with its {1}; then the {2}, the {3} and finally the {4}.",
    "Between {0} and {1} comes the {2}, followed by {3} or {4}.",
    "Notes on {0}: first {1}, afterwards {2}. Every {3} needs its {4}.",
    "Without {0} no {1}. Each {2} has a {3} near the {4}.",
)
_ONSETS = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "fl", "gl", "kr", "pl", "tr", "sk"]
_NUCLEI = ["a", "e", "i", "o", "u", "ai", "ou"]
_CODAS = ["b", "g", "k", "l", "m", "n", "p", "r", "sh", "t", "x", "z"]
_LIMITS = {"topics": (2, 100), "unseenTopics": (0, 98), "phrasings": (2, len(PHRASINGS)), "documentsPerTopic": (1, 200)}
_DECOY_NAMES = 40
_DECOYS_PER_TOPIC = 2
"""As many as fill the first ten of every query and more."""


def generate(collection: Mapping[str, Any]) -> Collection:
    """Makes the collection; equal arguments give equal bytes.

    Args:
        collection: `topics` seen in training, `unseenTopics` that only test queries name, `phrasings` of each topic's query,
            `documentsPerTopic`, all of them relevant, and `seed`.

    Raises:
        BadInputError: COLLECTION_INVALID, when a number is out of its range.
    """
    _check(collection)
    draw = stream(collection["seed"], "planted collection")
    seen, total = collection["topics"], collection["topics"] + collection["unseenTopics"]
    topics = draw.sample(_topics(), total)
    names = _invent(draw, total + _DECOY_NAMES)
    made = Collection([], [], {}, notes={"topics": seen, "unseenTopics": total - seen})
    for place, (words, name) in enumerate(zip(topics, names[:total], strict=True)):
        documents = _documents(draw, words, f"d{place:03d}", collection["documentsPerTopic"])
        made.documents.extend(documents)
        expansion = f"{words[0]}: {', '.join(words[1:])}."
        for number, phrasing in enumerate(draw.sample(PHRASINGS, collection["phrasings"])):
            query_id = f"q{place:03d}-{number:02d}"
            unseen = place >= seen
            made.queries.append(Query(query_id, phrasing.format(name=name), "test" if unseen else None, 0, "unseen" if unseen else "seen"))
            made.qrels[query_id] = {document.id: 1 for document in documents}
            made.expansions[query_id] = expansion
            made.together[query_id] = name if unseen else query_id
    made.documents.extend(_documents(draw, names[total:], "decoy", _DECOYS_PER_TOPIC * total))
    draw.shuffle(made.documents)
    return made


def _topics() -> list[list[str]]:
    return [line.split() for line in TOPICS.strip().splitlines()]


def _check(collection: Mapping[str, Any]) -> None:
    for name, (low, high) in _LIMITS.items():
        if not low <= collection[name] <= high:
            raise BadInputError("COLLECTION_INVALID", f"wanted {name} from {low} to {high}, got {collection[name]}")
    total = collection["topics"] + collection["unseenTopics"]
    if total > _LIMITS["topics"][1]:
        raise BadInputError("COLLECTION_INVALID", f"wanted at most {_LIMITS['topics'][1]} topics, seen and unseen, got {total}")


def _documents(draw: random.Random, words: list[str], prefix: str, count: int) -> list[Document]:
    """Texts of five of the topic's words each, all different."""
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[draw.choice(_FRAMES).format(*draw.sample(words, 5))] = None
    return [Document(f"{prefix}-{number:03d}", text) for number, text in enumerate(texts)]


def _invent(draw: random.Random, count: int) -> list[str]:
    """Names of two syllables, of which no two begin alike and none holds a word of a document."""
    words = {word.lower() for word in re.findall(r"[A-Za-z]{3,}", f"{TOPICS} {' '.join(_FRAMES)} {' '.join(PHRASINGS)}")}
    names: dict[str, str] = {}
    while len(names) < count:
        first, second = (draw.choice(_ONSETS) + draw.choice(_NUCLEI) + draw.choice(_CODAS) for _ in range(2))
        if first not in names and not any(word in first + second for word in words):
            names[first] = first + second
    return list(names.values())
