"""A language model as the teacher: what it is asked, what it answers, and how no answer is paid for twice."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError, RunContext
from assay_pods.retrieval.files import Expansion, Query

PLACE = "{query}"
"""What the query's text stands for in a prompt; every other brace stays as it is."""


class Asked(NamedTuple):
    """One text that is asked for."""

    query_id: str
    prompt: str
    sample: int
    """From 0; samples of one query differ by it alone."""


class Answer(NamedTuple):
    """What the model wrote, empty where it wrote nothing, and what it counts."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class Teacher(Protocol):
    """A model that answers."""

    @property
    def name(self) -> str:
        """What the expansions name as their provider."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that an answer depends on beside the prompt and the sample's number."""
        ...

    @property
    def batch(self) -> int:
        """How many answers are asked for at once; part of what a local model's answers depend on."""
        ...

    def answer(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answers, and counts each answer in the run's usage, whether all come or not."""
        ...


def expansions(context: RunContext, queries: Sequence[Query], teacher: Teacher) -> tuple[list[Expansion], dict[str, object]]:
    """Asks for every query as many samples as the spec says; a run that was interrupted goes on with what it has not asked yet.

    Returns:
        The expansions, of an empty answer none, and what the result tells of them.

    Raises:
        BadInputError: TEACHER_REFUSED, when the prompt has no place for the query or the teacher refuses.
        TransientError: TEACHER_UNREACHABLE.
    """
    spec = context.spec["expansion"]
    prompt = spec["prompt"]
    if PLACE not in prompt:
        raise BadInputError("TEACHER_REFUSED", f"wanted a prompt with {PLACE} in it, got {prompt[:80]!r}")
    asked = [Asked(query.id, prompt.replace(PLACE, query.text), sample) for query in queries for sample in range(spec["samples"])]
    kept = _Kept(context.cache_dir / "answers", teacher.identity)
    answers: list[Answer] = []
    for start in range(0, len(asked), teacher.batch):
        context.progress("expanding", start // spec["samples"], len(queries))
        batch = asked[start : start + teacher.batch]
        found = kept.find(batch)
        if found is None:
            found = teacher.answer(batch)
            kept.keep(batch, found)
        answers += found
    prompt_hash = hashlib.sha256(prompt.encode()).hexdigest()
    made = [
        Expansion(one.query_id, answer.text, teacher.name, prompt_hash, answer.prompt_tokens, answer.completion_tokens)
        for one, answer in zip(asked, answers, strict=True)
        if answer.text
    ]
    return made, _notes(spec, answers)


def _notes(spec: Mapping[str, Any], answers: Sequence[Answer]) -> dict[str, object]:
    """What all answers counted and cost at the declared prices, those too that were kept from an interrupted run."""
    tokens = {name: sum(getattr(answer, name) for answer in answers) for name in ("prompt_tokens", "completion_tokens")}
    prices = {name: spec.get(f"pricePerMillion{word}Tokens") or 0 for name, word in zip(tokens, ("Prompt", "Completion"), strict=True)}
    return {
        "prompt": spec["prompt"],
        "answers": len(answers),
        "emptyAnswers": sum(not answer.text for answer in answers),
        "promptTokens": tokens["prompt_tokens"],
        "completionTokens": tokens["completion_tokens"],
        "price": sum(tokens[name] * prices[name] / 1e6 for name in tokens),
    }


class _Kept:
    """Answers on the pod's disk, a file a batch, found by all that they depend on."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._folder = folder
        self._identity = dict(identity)

    def find(self, batch: Sequence[Asked]) -> list[Answer] | None:
        try:
            return [Answer(*answer) for answer in json.loads(self._path(batch).read_bytes())]
        except FileNotFoundError:
            return None

    def keep(self, batch: Sequence[Asked], answers: Sequence[Answer]) -> None:
        path = self._path(batch)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix="writing-", delete=False) as file:
            file.write(json.dumps(answers).encode())
        Path(file.name).rename(path)

    def _path(self, batch: Sequence[Asked]) -> Path:
        key = canonical_json({"teacher": self._identity, "asked": [[one.prompt, one.sample] for one in batch]})
        digest = hashlib.sha256(key).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"
