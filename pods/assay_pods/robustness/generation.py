"""What the model writes by itself: greedy text for some test prompts, held to each item's checker."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from assay_pods.robustness.checkers import passes
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.records import Record, pairs_of

TOKENS_BEYOND_ANSWER = 8
"""How much longer than the longest right completion a text may grow before it is cut."""

Write = Callable[[Sequence[str], int], list[str]]
"""Writes a text of at most so many tokens after each prompt."""


def generate_and_check(records: Sequence[Record], plan: Plan, num_items: int, write: Write) -> dict[str, Any] | None:
    """Lets the model answer prompts without a cue and counts the answers that pass.

    Args:
        records: The rows of records.jsonl.
        plan: The plan, whose encoder renders prompts.
        num_items: How many test pairs, from the first; 0 asks for none.
        write: The model.

    Returns:
        `items`, `passed` and `relation`, or None when no items are asked for.
    """
    chosen = _prompts(records, num_items)
    if not chosen:
        return None
    longest = max(plan.encoder.count(record.chosen) for record in chosen)
    texts = write([plan.encoder.render(record.messages) for record in chosen], longest + TOKENS_BEYOND_ANSWER)
    passed = sum(passes(record.checker, text) for record, text in zip(chosen, texts, strict=True))
    return {"items": len(chosen), "passed": passed, "relation": chosen[0].relation}


def greedy(model: Any, tokenizer: Any) -> Write:
    """Gives the model's greedy writing."""

    @torch.no_grad()
    def write(prompts: Sequence[str], num_tokens: int) -> list[str]:
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        inputs = tokenizer(list(prompts), return_tensors="pt", padding=True).to(model.device)
        model.eval()
        # Settings that came with the model (several beams, a penalty for repetition) would make something else than greedy text.
        model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
        output = model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            max_new_tokens=num_tokens,
            do_sample=False,
        )
        return tokenizer.batch_decode(output[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)

    return write


def _prompts(records: Sequence[Record], num_items: int) -> list[Record]:
    """The neutral renders of the first test pairs, or the aligned ones where the data has no neutral render."""
    pairs = list(pairs_of(records, "test").values())
    relation = "neutral" if all("neutral" in renders for renders in pairs) else "aligned"
    return [renders[relation] for renders in pairs[:num_items]]
