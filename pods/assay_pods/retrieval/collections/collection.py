"""What a made collection consists of."""

from dataclasses import dataclass, field

from assay_pods.retrieval.files import Document, Qrels, Query


@dataclass(frozen=True)
class Collection:
    """Documents, queries and judgements that fit one another."""

    documents: list[Document]
    queries: list[Query]
    """With `split` only where the collection decides it, and `group` where the report is to tell groups apart."""
    qrels: Qrels
    expansions: dict[str, str] = field(default_factory=dict[str, str])
    """Query id to the text that says what it asks for; empty where nobody knows."""
    together: dict[str, str] = field(default_factory=dict[str, str])
    """Query id to a name; queries of one name must not be divided between training and test."""
    notes: dict[str, object] = field(default_factory=dict[str, object])
    """What the result tells of how it was made."""
