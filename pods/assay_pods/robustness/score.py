"""Forced choice: is the right completion more probable than the wrong one, over the summed tokens of the answer?

The end-of-sequence token is left out of the sums.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError
from assay_pods.robustness.blocks import edge_logprobs, embed, run_blocks
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan, Question
from assay_pods.robustness.records import Record
from assay_pods.robustness.train import TopBlocks
from assay_pods.robustness.tree import batch_of, chunks_of
from assay_pods.robustness.trunk import NODES_PER_BATCH, Trunk

Scorer = Callable[[Sequence[Text]], Sequence[float]]
"""Gives the log-probability of each text's completion after its prompt, in nats."""


def score_items(questions: Sequence[Question], plan: Plan, scorer: Scorer) -> list[dict[str, Any]]:
    """Asks every question once.

    Args:
        questions: What to ask, in the order of the rows that come back.
        plan: Where the texts' tokens are counted.
        scorer: Anything that gives a number to a text.

    Returns:
        The rows of items.jsonl; see docs/contract.md.

    Raises:
        BadInputError: TRAINING_DIVERGED, when the model gives no numbers.
    """
    texts = list(dict.fromkeys(side for question in questions for side in (question.right, question.wrong)))
    logprobs = dict(zip(texts, scorer(texts), strict=True))
    lost = sum(not math.isfinite(value) for value in logprobs.values())
    if lost:
        raise BadInputError("TRAINING_DIVERGED", f"wanted finite log-probabilities, got others for {lost} of {len(texts)} texts")
    return [_row(question, plan, (logprobs[question.right], logprobs[question.wrong])) for question in questions]


def write_items(path: Path, items: Sequence[dict[str, Any]]) -> None:
    """Writes one line an item and relation."""
    with path.open("wb") as out:
        out.writelines(canonical_json(item) + b"\n" for item in items)


def reference_scorer(plan: Plan, trunk: Trunk) -> Scorer:
    """Gives the scorer of the reference model, whose log-probabilities are known already."""

    def score(texts: Sequence[Text]) -> list[float]:
        return [trunk.reference_t[list(plan.tree.paths[text].edges(with_end=False))].sum().item() for text in texts]

    return score


def top_blocks_scorer(top: TopBlocks, report: Callable[[int, int], None]) -> Scorer:
    """Gives the scorer of a model whose top blocks were trained, above the cached trunk."""
    below = len(top.model.model.layers) - top.blocks
    return _model_scorer(top.model, top.plan, report, lambda batch: (top.trunk.entering(batch).to(top.model.device), slice(below, None)))


def full_scorer(model: Any, plan: Plan, report: Callable[[int, int], None]) -> Scorer:
    """Gives the scorer of a model of which any part may be trained."""
    return _model_scorer(model, plan, report, lambda batch: (embed(model, batch), slice(None)))


def _model_scorer(model: Any, plan: Plan, report: Callable[[int, int], None], enter: Callable[[Any], tuple[Any, slice]]) -> Scorer:
    @torch.no_grad()
    def score(texts: Sequence[Text]) -> list[float]:
        model.eval()
        paths = [plan.tree.paths[text] for text in texts]
        scores = [0.0] * len(texts)
        done = 0
        for chunk in chunks_of(plan.tree, paths, NODES_PER_BATCH):
            batch = batch_of(plan.tree, [paths[place] for place in chunk], with_end=False).to(model.device)
            hidden, span = enter(batch)
            sums = batch.sum_by_text(edge_logprobs(model, batch, run_blocks(model, batch, hidden, span)))
            for place, value in zip(chunk, sums.tolist(), strict=True):
                scores[place] = value
            done += len(chunk)
            report(done, len(texts))
        return scores

    return score


def _row(question: Question, plan: Plan, logprobs: tuple[float, float]) -> dict[str, Any]:
    right, wrong = logprobs
    margin = right - wrong
    row: dict[str, Any] = {"itemKey": question.item_key, "split": question.split, "relation": question.relation}
    if question.gold_class is not None:
        row["goldClass"] = question.gold_class
    chosen, rejected = (len(plan.tree.paths[side].edges(with_end=False)) for side in (question.right, question.wrong))
    row |= {
        "logprobChosen": right,
        "logprobRejected": wrong,
        "tokensChosen": chosen,
        "tokensRejected": rejected,
        "margin": margin,
        "score": _score(margin),
    }
    if chosen != rejected:
        row["tokenMeanScore"] = _score(right / chosen - wrong / rejected)
    return row | _about(question.record)


def _score(margin: float) -> float:
    return 1 if margin > 0 else 0.5 if margin == 0 else 0


def _about(record: Record) -> dict[str, Any]:
    """What the render was like that the question was made of."""
    about: dict[str, Any] = {"artifactPresent": record.artifact_present, "cueTarget": record.cue_target}
    return about if record.slice is None else about | {"slice": record.slice}
