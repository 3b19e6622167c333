"""What the model writes by itself: greedy text for some test prompts, held to each item's checker."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from assay_pods.robustness.checkers import scores
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.records import Record

TOKENS_BEYOND_ANSWER = 8
"""How much longer than twice the longest right completion a text may grow before it is cut."""

PROMPTS_AT_ONCE = 32

CUED_TASKS = ("CONSTRAINED_INSTRUCTION_FOLLOWING",)
"""Tasks whose first figure is the checker on written text, so that prompts with a cue are answered too."""

Key = tuple[str, str, str]
"""Split, item key and relation."""

Write = Callable[[Sequence[str], int], list[str]]
"""Writes a text of at most so many tokens after each prompt."""


def generate_and_check(records: Sequence[Record], plan: Plan, spec: Mapping[str, Any], write: Write) -> dict[Key, dict[str, Any]]:
    """Lets the model answer prompts and holds the answers to their checkers.

    Where the checker's is the first figure, the prompts of validation pairs are answered too by what a core gate rests on:
    models that were not trained, or at rate 0.

    Args:
        records: The rows of records.jsonl.
        plan: The plan, whose encoder renders prompts.
        spec: Names the task, and in `size.generationItems` how many pairs of a split, from the first; 0 asks for none.
        write: The model.

    Returns:
        `{"text", "scores"}` by split, item key and relation.
    """
    chosen = _prompts(records, spec)
    if not chosen:
        return {}
    prompts = [plan.encoder.render(record.messages) for record in chosen]
    longest = max(plan.encoder.count(record.chosen) for record in chosen)
    room = plan.encoder.tokens_max - max(map(plan.encoder.count, prompts))
    limit = max(1, min(2 * longest + TOKENS_BEYOND_ANSWER, room))
    starts = range(0, len(prompts), PROMPTS_AT_ONCE)
    texts = [text for start in starts for text in write(prompts[start : start + PROMPTS_AT_ONCE], limit)]
    return {
        (record.split, record.pair_id, record.relation): {"text": text, "scores": scores(record.checker, text)}
        for record, text in zip(chosen, texts, strict=True)
    }


def add_to_items(items: Iterable[dict[str, Any]], written: Mapping[Key, dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives the rows of items.jsonl with the text that was written for them."""
    keyed = [((item["split"], item["itemKey"], item["relation"]), item) for item in items]
    return [item | ({"generation": written[key]} if key in written else {}) for key, item in keyed]


def summary(written: Mapping[Key, dict[str, Any]]) -> dict[str, Any] | None:
    """Gives how many of the written answers to test prompts passed, by relation; the first one's figures stand alone too. None for none."""
    counts: dict[str, dict[str, int]] = {}
    for (split, _, relation), found in written.items():
        if split != "test":
            continue
        own = counts.setdefault(relation, {"items": 0, "passed": 0})
        own["items"] += 1
        own["passed"] += int(found["scores"].get("strict", found["scores"].get("exact")) == 1)
    if not counts:
        return None
    first = "neutral" if "neutral" in counts else next(iter(counts))
    return counts[first] | {"relation": first, "byRelation": counts}


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


def _prompts(records: Sequence[Record], spec: Mapping[str, Any]) -> list[Record]:
    """The renders to answer of the first test pairs: those without a cue where the data has such, and every slice."""
    pairs = _pairs_of(records, "test")
    some = list(pairs.values())[: spec["size"]["generationItems"]]
    if spec["data"].get("artifact") == "DISTRIBUTIONAL_NARROWNESS":
        return [record for renders in _of_every_slice(list(pairs.values()), spec) for record in renders.values()]
    plain = "neutral" if all("neutral" in renders for renders in some) else "aligned"
    cued = ("aligned", "conflicting") if spec["data"].get("task") in CUED_TASKS else ()
    chosen = [renders[relation] for renders in some for relation in dict.fromkeys((plain, *cued)) if relation in renders]
    if spec.get("variant") is not None or spec.get("spuriousness") not in (None, 0, 0.0):
        return chosen
    gated = list(_pairs_of(records, "validation").values())[: spec["size"]["generationItems"]]
    return chosen + [renders[relation] for renders in gated for relation in cued if relation in renders]


def _pairs_of(records: Sequence[Record], split: str) -> dict[str, dict[str, Record]]:
    """The renders of each pair of a split, by relation."""
    pairs: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.split == split:
            pairs.setdefault(record.pair_id, {})[record.relation] = record
    return pairs


def _of_every_slice(pairs: Sequence[dict[str, Record]], spec: Mapping[str, Any]) -> list[dict[str, Record]]:
    """The first test pairs of each slice, as many of each."""
    taken: dict[str | None, int] = {}
    chosen: list[dict[str, Record]] = []
    for renders in pairs:
        name = next(iter(renders.values())).slice
        if taken.get(name, 0) < spec["size"]["generationItems"]:
            taken[name] = taken.get(name, 0) + 1
            chosen.append(renders)
    return chosen
