"""What a student is to come near: the teacher's row of its own query, or, as a control, that of a query of another topic."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay_pods.common.context import BadInputError
from assay_pods.common.seeds import permutation, stream
from assay_pods.retrieval.files import Qrels, Query
from assay_pods.retrieval.metrics import RELEVANT


def topics_of(queries: Sequence[Query], qrels: Qrels) -> list[int]:
    """The topic of each query, from 0: queries that share a relevant document, also by way of others, have one topic."""
    parent = list(range(len(queries)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, query in enumerate(queries):
        for document, code in qrels.get(query.id, {}).items():
            if code >= RELEVANT:
                parent[root(place)] = root(first.setdefault(document, place))
    names: dict[int, int] = {}
    return [names.setdefault(root(place), len(names)) for place in range(len(queries))]


def shuffled(queries: Sequence[Query], qrels: Qrels, seed: int) -> NDArray[np.intp]:
    """For each query the place of one of another topic: topics stand in a circle and each learns from the next, so that none keeps its own.

    Raises:
        BadInputError: SPLIT_EMPTY, when all queries are of one topic.
    """
    topics = topics_of(queries, qrels)
    members: dict[int, list[int]] = {}
    for place, topic in enumerate(topics):
        members.setdefault(topic, []).append(place)
    if len(members) < 2:
        raise BadInputError("SPLIT_EMPTY", f"wanted training queries of two topics to exchange, got {len(queries)} of one topic")
    circle = permutation(seed, "topics", len(members))
    following = dict(zip(circle, circle[1:] + circle[:1], strict=True))
    draw = stream(seed, "another topic's query")
    return np.array([draw.choice(members[following[topic]]) for topic in topics], dtype=np.intp)
