"""Rows of a Hugging Face data set at a pinned revision, where the pod's network allows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from assay_pods.common.context import BadInputError, TransientError

ROWS_MAX = 100_000


def fetch(data: Mapping[str, Any], cache_dir: Path) -> list[dict[str, Any]]:
    """Fetches the rows of a split; the questions of SQuAD are put back together into paragraphs.

    Raises:
        BadInputError: DATASET_INVALID, when the hub has no such data set, revision or split, or it is too large.
        TransientError: DATASET_UNREACHABLE, when the hub does not answer.
    """
    name = f"{data['id']} at {data['revision']}"
    try:
        found: Any = datasets.load_dataset(
            data["id"], data["config"], split=data["split"], revision=data["revision"], cache_dir=str(cache_dir / "datasets")
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError, HFValidationError, ValueError) as wrong:
        raise BadInputError("DATASET_INVALID", f"wanted the hub data set {name}, got: {wrong}") from wrong
    except OSError as wrong:
        # Without a network the library says "not found" too, so only a hub that answered can refuse for good.
        if isinstance(wrong, DatasetNotFoundError) and _is_refused(data):
            raise BadInputError("DATASET_INVALID", f"wanted the hub data set {name}, but the hub has none: {wrong}") from wrong
        raise TransientError("DATASET_UNREACHABLE", f"wanted {name} from the hub, which did not answer: {wrong}") from wrong
    if len(found) > ROWS_MAX:
        raise BadInputError("DATASET_INVALID", f"wanted at most {ROWS_MAX} rows, got {len(found)} in {name}")
    rows = [dict(row) for row in found]
    return paragraphs(rows) if data["format"] == "SQUAD" else rows


def _is_refused(data: Mapping[str, Any]) -> bool:
    """Whether the hub itself says that there is no such data set or revision, or none for everybody."""
    try:
        HfApi().dataset_info(data["id"], revision=data["revision"])
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError):
        return True
    except Exception:  # noqa: BLE001 - whatever else goes wrong on the way, nobody has refused
        return False
    return False


def paragraphs(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Puts rows of `id`, `context`, `question`, `answers` (lists `text` and `answer_start`) together by their context.

    Raises:
        BadInputError: DATASET_INVALID, when a row has another form.
    """
    by_context: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows, start=1):
        try:
            pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
            answers = [{"text": text, "answer_start": start} for text, start in pairs]
            question = {"id": row["id"], "question": row["question"], "answers": answers}
            by_context.setdefault(row["context"], []).append(question)
        except (KeyError, TypeError, ValueError) as wrong:
            raise BadInputError("DATASET_INVALID", f"row {number}: wanted a row of SQuAD, got: {wrong!r}") from wrong
    return [{"context": context, "qas": questions} for context, questions in by_context.items()]
