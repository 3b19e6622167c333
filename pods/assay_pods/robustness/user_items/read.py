"""Rows of GSM8K, IFEval and SQuAD as items; what the planner checked at upload is checked again, because a pod trusts nobody."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.robustness.checkers import ifeval, numbers

SPLITS = ("train", "validation", "test", None)


class Problem(NamedTuple):
    """A word problem, or a prompt: a text with an answer or without."""

    text: str
    name: str
    answer: str
    split: str | None
    solution: str = ""
    """The whole answer of a word problem: its worked steps and their result."""


class Question(NamedTuple):
    """A question on a paragraph, whose text decides about its part."""

    text: str
    name: str
    question: str
    answers: tuple[tuple[str, int], ...]
    """Text and offset, in code points, of each reference answer."""
    rivals: tuple[tuple[str, int], ...]
    """The first answer to every other question on the paragraph."""
    split: str | None = None


class Found(NamedTuple):
    """The items of a file, and how many rows were left out for which reason."""

    items: list[Any]
    left_out: dict[str, int]


def parse_file(path: Path, data_format: str) -> list[dict[str, Any]]:
    """Gives the rows of a file; of a SQuAD document, its paragraphs.

    Raises:
        BadInputError: DATASET_INVALID, when the file is not JSON of that form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if data_format != "SQUAD":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return [paragraph for article in json.loads(text)["data"] for paragraph in article["paragraphs"]]
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise BadInputError("DATASET_INVALID", f"wanted a file in the format {data_format}, got: {wrong!r}") from wrong


def read_items(data_format: str, rows: Sequence[Mapping[str, Any]]) -> Found:
    """Reads items.

    Raises:
        BadInputError: DATASET_INVALID, naming the row (of SQuAD, the paragraph) from 1.
    """
    read = {"GSM8K": _gsm8k, "IFEVAL": _ifeval, "SQUAD": _squad}[data_format]
    items: list[Any] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        try:
            for item in read(row):
                if isinstance(item, str):
                    left_out[item] += 1
                else:
                    items.append(item)
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise BadInputError("DATASET_INVALID", f"row {number}: wanted a row in the format {data_format}, got: {wrong!r}") from wrong
    return Found(items, dict(left_out))


def _gsm8k(row: Mapping[str, Any]) -> Iterator[Problem]:
    last = _text(row["answer"]).rsplit("\n", 1)[-1]
    number = numbers.extract(last) if last.startswith("####") else None
    if number is None:
        raise ValueError(f"wanted an answer whose last line is #### and a number, got {last[:80]!r}")
    yield Problem(_text(row["question"]), "", number, _split(row), row["answer"])


def _ifeval(row: Mapping[str, Any]) -> Iterator[Problem | str]:
    for rule, kwargs in zip(row["instruction_id_list"], row["kwargs"], strict=True):
        try:
            ifeval.follows("A text.", ifeval.Instruction(rule, kwargs or {}))
        except BadInputError:
            yield f"{rule} cannot be checked with these arguments and without a network"
            return
    yield Problem(_text(row["prompt"]), str(row["key"]), "", _split(row))


def _squad(paragraph: Mapping[str, Any]) -> Iterator[Question | str]:
    context = _text(paragraph["context"])
    asked = [(row, [_answer(answer, context) for answer in row["answers"]]) for row in paragraph["qas"]]
    for row, answers in asked:
        if not answers:
            yield "a question without an answer has no sentence that a cue could stand on"
            continue
        rivals = tuple(dict.fromkeys(others[0] for other, others in asked if others and other is not row))
        yield Question(context, _text(row["id"]), _text(row["question"]), tuple(dict.fromkeys(answers)), rivals)


def _answer(answer: Mapping[str, Any], context: str) -> tuple[str, int]:
    text, start = _text(answer["text"]), answer["answer_start"]
    if not isinstance(start, int) or not 0 <= start < len(context) or not context.startswith(text, start):
        raise ValueError(f"wanted an answer_start where {text[:80]!r} stands in the context, got {start!r}")
    return text, start


def _split(row: Mapping[str, Any]) -> str | None:
    split = row.get("split")
    if split not in SPLITS:
        raise ValueError(f"wanted the split train, validation or test, got {split!r}")
    return split


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"wanted a text, got {str(value)[:80]!r}")
    return value
