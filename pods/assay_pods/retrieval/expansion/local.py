"""A teacher that the pod runs itself: any causal language model of transformers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from assay_pods.common.context import RunContext
from assay_pods.common.models import load_model
from assay_pods.common.seeds import derived_seed, seed_everything
from assay_pods.retrieval.expansion.teacher import Answer, Asked

_AT_ONCE = 8


class Local:
    """Loads the model and writes with it. Equal batches give equal texts, also where they are drawn."""

    batch = _AT_ONCE

    def __init__(self, context: RunContext) -> None:
        """Loads the model.

        Raises:
            BadInputError: what `load_model` refuses.
            TransientError: MODEL_UNREACHABLE.
        """
        spec = context.spec["expansion"]
        self._context = context
        self._spec = spec
        seed_everything(0, context.spec["threads"])
        self._model, self._tokenizer = load_model(context, spec["model"])
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        source = spec["model"]["source"]
        self.name: str = str(source.get("name") or source.get("id") or spec["model"]["digest"])
        shared = {"device": context.device, "threads": context.spec["threads"]}
        self.identity: Mapping[str, Any] = {"kind": "LOCAL", "model": spec["model"]["digest"], **shared} | {
            name: spec[name] for name in ("temperature", "maxTokens")
        }

    def answer(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answers all at once."""
        inputs = self._tokenizer([self._rendered(one.prompt) for one in asked], return_tensors="pt", padding=True).to(self._model.device)
        # Settings that came with the model would make something else than what the spec asks for.
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._tokenizer.eos_token_id, pad_token_id=self._tokenizer.pad_token_id
        )
        drawn = {"do_sample": True, "temperature": self._spec["temperature"]} if self._spec["temperature"] > 0 else {"do_sample": False}
        torch.manual_seed(derived_seed(asked[0].sample, f"{asked[0].query_id}/{asked[0].prompt}"))
        with torch.no_grad():
            output = self._model.generate(**inputs, max_new_tokens=self._spec["maxTokens"], **drawn)
        read = inputs.attention_mask.sum(dim=1).tolist()
        return [self._answer(row, count) for row, count in zip(output[:, inputs.input_ids.shape[1] :].tolist(), read, strict=True)]

    def _answer(self, written: list[int], prompt_tokens: int) -> Answer:
        """The text up to the end token, which counts as written."""
        end = self._tokenizer.eos_token_id
        length = written.index(end) + 1 if end in written else len(written)
        text = self._tokenizer.decode(written[:length], skip_special_tokens=True).strip()
        self._context.count_answer(prompt_tokens, length)
        return Answer(text, prompt_tokens, length)

    def _rendered(self, prompt: str) -> str:
        if not self._tokenizer.chat_template:
            return prompt
        messages = [{"role": "user", "content": prompt}]
        return self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
