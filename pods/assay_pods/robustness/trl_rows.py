"""The steps of an epoch as rows of the TRL trainers' data sets: as texts, or as tokens with known log-probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.steps import StepRows
from assay_pods.robustness.train import Work
from assay_pods.robustness.trunk import Trunk


class Shared(NamedTuple):
    """The texts' tokens, and the reference model's log-probabilities of them."""

    plan: Plan
    made: Trunk

    def ids(self, text: Text) -> tuple[list[int], list[int]]:
        """Gives the tokens of a prompt and of its completion, the end token included."""
        path = self.plan.tree.paths[text]
        tokens = [self.plan.tree.tokens[node] for node in path.nodes]
        return tokens[: path.prompt_length], tokens[path.prompt_length :]

    def logprob(self, text: Text) -> float:
        """Gives the reference model's log-probability of a completion with its end token, in nats."""
        return self.made.reference_t[list(self.plan.tree.paths[text].edges(with_end=True))].sum().item()


def text_rows(work: Work) -> list[dict[str, Any]]:
    """Gives the rows of one epoch as texts: TRL itself turns them into tokens and finds KTO's stand-ins."""
    rows = [row for step in work.steps for row in _texts_of(step, work.recipe.method)]
    if work.recipe.method == "KTO":
        return [{"prompt": right.prompt, "completion": right.completion, "label": label} for right, label in rows]
    if work.recipe.method == "SFT":
        return [{"prompt": right.prompt, "completion": right.completion} for right, _ in rows]
    return [{"prompt": right.prompt, "chosen": right.completion, "rejected": wrong.completion} for right, wrong in rows]


def _texts_of(step: StepRows, method: str) -> list[tuple[Text, Any]]:
    beside: Sequence[Any] = step.labels if method == "KTO" else step.wrong if method == "DPO" else [None] * len(step.right)
    return list(zip(step.right, beside, strict=True))


def shared_rows(work: Work, shared: Shared) -> list[dict[str, Any]]:
    """Gives the rows of one epoch as tokens, with the reference model's log-probabilities."""
    make = {"SFT": _sft_rows, "DPO": _dpo_rows, "KTO": _kto_rows}[work.recipe.method]
    return [row for step in work.steps for row in make(step, shared)]


def _sft_rows(step: StepRows, shared: Shared) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, text in enumerate(step.right):
        prompt_ids, completion_ids = shared.ids(text)
        masked = [-100] * len(prompt_ids) + completion_ids
        rows.append({"input_ids": prompt_ids + completion_ids, "labels": masked} | ({"group": step.groups[place]} if step.groups else {}))
    return rows


def _dpo_rows(step: StepRows, shared: Shared) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, (right, wrong) in enumerate(zip(step.right, step.wrong, strict=True)):
        prompt_ids, chosen_ids = shared.ids(right)
        other_ids, rejected_ids = shared.ids(wrong)
        row = {
            "prompt_ids": prompt_ids,
            "chosen_ids": chosen_ids,
            "rejected_ids": rejected_ids,
            "ref_chosen_logps": shared.logprob(right),
            "ref_rejected_logps": shared.logprob(wrong),
        }
        rows.append(row | ({"rejected_prompt_ids": other_ids, "tie": step.ties[place]} if step.ties else {}))
    return rows


def _kto_rows(step: StepRows, shared: Shared) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for text, label, stand_in in zip(step.right, step.labels, step.mismatched, strict=True):
        prompt_ids, completion_ids = shared.ids(text)
        rows.append(
            {
                "prompt_ids": prompt_ids,
                "completion_ids": completion_ids,
                "KL_completion_ids": shared.ids(stand_in)[1],
                "label": label,
                "ref_logps": shared.logprob(text),
                "ref_KL_logps": shared.logprob(stand_in),
            }
        )
    return rows


def tokens_of(plan: Plan, step: StepRows) -> int:
    """Counts the completion tokens that enter a step's loss, end tokens included."""
    return sum(len(plan.tree.paths[text].edges(with_end=True)) for text in step.trained)
