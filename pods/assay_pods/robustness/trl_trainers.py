"""TRL's trainers where tokens and log-probabilities are known already, and with the mitigations in their losses.

Shapes: B prompts of the batch, S = 2B texts, right ones first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from assay_pods.robustness import groups, losses
from assay_pods.robustness.recipe import Recipe
from assay_pods.robustness.train_log import TrainLog
from assay_pods.robustness.trl_progress import Resumable


class _Known:
    """Takes a data set of tokens with the reference's log-probabilities as it is."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        return dataset


def trainer_class(recipe: Recipe, *, known: bool, log: TrainLog) -> Any:
    """Gives TRL's trainer of a method, able to resume, with the recipe's mitigation.

    Args:
        recipe: Method and mitigation.
        known: Whether the rows are tokens with log-probabilities. Mitigations need such rows.
        log: Where GROUP_DRO keeps its weights.
    """
    plain: Any = {"SFT": SFTTrainer, "DPO": DPOTrainer, "KTO": KTOTrainer}[recipe.method]
    bases = (Resumable, _Known, plain) if known else (Resumable, plain)
    own: dict[str, Any] = {}
    if recipe.variant is not None and recipe.variant.kind == "TIES":
        bases, own = (_Ties, *bases), {"beta_of_ties": recipe.beta}
    if recipe.variant is not None and recipe.variant.kind == "GROUP_DRO":
        bases, own = (_GroupDro, *bases), {"step_size": recipe.variant.step_size, "log_of_groups": log}
    return type(plain.__name__, bases, own)


class _Collated:
    """Lets columns through to the loss that TRL's collators do not know."""

    columns: tuple[str, ...]

    def __init__(self, *, args: Any, **parts: Any) -> None:
        # Else columns that are no argument of the model's forward pass are dropped.
        args.remove_unused_columns = False
        trainer: Any = super()
        trainer.__init__(args=args, **parts)
        collate: Any = getattr(self, "data_collator")  # noqa: B009
        self.data_collator = lambda rows: self.collated(collate, rows)

    def collated(self, collate: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Gives TRL's batch with the columns beside it."""
        raise NotImplementedError


class _Ties(_Collated):
    """DPO where some rows are ties, whose two sides may have prompts of their own."""

    beta_of_ties: float

    def collated(self, collate: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        # TRL knows one prompt a row: here each side comes with its own, as a part of its tokens that is no completion.
        right: Any = collate([{**row, "rejected_ids": row["chosen_ids"]} for row in rows])
        wrong: Any = collate([{**row, "prompt_ids": row["rejected_prompt_ids"], "chosen_ids": row["rejected_ids"]} for row in rows])
        batch = {
            name: _stacked(right[name][: len(rows)], wrong[name][: len(rows)])
            for name in ("input_ids", "attention_mask", "completion_mask")
        }
        references = {name: right[name] for name in ("ref_chosen_logps", "ref_rejected_logps")}
        return batch | references | {"tie": torch.tensor([row["tie"] for row in rows])}

    def _compute_loss(self, model: Any, inputs: Mapping[str, Tensor], return_outputs: bool) -> Tensor:
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        outputs = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels, use_cache=False, fused_lm_head=True
        )
        right_b, wrong_b = outputs.log_probs.sum(dim=1).chunk(2)
        self._metrics["train"]["logps/chosen"].append(right_b.mean().item())  # type: ignore[attr-defined]
        ratios = (right_b - inputs["ref_chosen_logps"], wrong_b - inputs["ref_rejected_logps"])
        return losses.dpo_loss(*ratios, self.beta_of_ties, inputs["tie"])


class _GroupDro(_Collated):
    """SFT whose groups weigh the more the larger their loss is."""

    step_size: float
    log_of_groups: TrainLog

    def collated(self, collate: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        batch: Any = collate([{name: value for name, value in row.items() if name != "group"} for row in rows])
        return dict(batch) | {"group": torch.tensor([groups.GROUPS.index(row["group"]) for row in rows])}

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None) -> Tensor:
        group_b = inputs.pop("group")
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        logprobs_b = outputs.log_probs.sum(dim=1)
        tokens_b = (inputs["labels"][:, 1:] != -100).sum(dim=1)
        by_group = {
            group: losses.sft_loss(logprobs_b[group_b == place], tokens_b[group_b == place].sum())
            for place, group in enumerate(groups.GROUPS)
            if bool((group_b == place).any())
        }
        log = self.log_of_groups
        log.group_weights = groups.raised(log.group_weights, {group: loss.item() for group, loss in by_group.items()}, self.step_size)
        return torch.stack([log.group_weights[group] * loss for group, loss in by_group.items()]).sum()


def _stacked(above: Tensor, below: Tensor) -> Tensor:
    """Right ones over wrong ones, padded on the right to one width; what is masked may have any token."""
    width = max(above.shape[1], below.shape[1])
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in (above, below)])
