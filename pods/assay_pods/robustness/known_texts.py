"""Tokens that `prepare` found once: a run of the same seed looks them up instead of asking the tokenizer again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from assay_pods.robustness.encoding import Encoded, Text
from assay_pods.robustness.tree import ROOT, PrefixTree

NAMES = ("tokens", "parents", "text_keys", "text_leaves", "text_prompts")


def tensors_of(tree: PrefixTree) -> dict[str, Tensor]:
    """Gives a tree and its texts as tensors: each text by a digest, its last node and the length of its prompt."""
    paths = tree.paths
    return {
        "tokens": torch.tensor(tree.tokens),
        "parents": torch.tensor(tree.parents),
        "text_keys": torch.tensor([_key(text) for text in paths], dtype=torch.int64),
        "text_leaves": torch.tensor([path.nodes[-1] for path in paths.values()], dtype=torch.int64),
        "text_prompts": torch.tensor([path.prompt_length for path in paths.values()], dtype=torch.int64),
    }


class KnownTexts:
    """The tokens of texts, by text."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep what `tensors_of` gave."""
        self._tokens, self._parents, keys, leaves, prompts = (tensors[name].tolist() for name in NAMES)
        self._texts = {key: (leaf, prompt) for key, leaf, prompt in zip(keys, leaves, prompts, strict=True)}

    @classmethod
    def read(cls, path: Path) -> "KnownTexts":
        """Reads them from a file of `prepare`, and nothing else of it."""
        with safe_open(path, "pt") as file:
            return cls({name: file.get_tensor(name) for name in NAMES})

    def find(self, text: Text) -> Encoded | None:
        """Gives the tokens of a text; None for one that is not known."""
        found = self._texts.get(_key(text))
        if found is None:
            return None
        node, prompt_length = found
        ids: list[int] = []
        while node != ROOT:
            ids.append(self._tokens[node])
            node = self._parents[node]
        ids.reverse()
        return Encoded(ids[:prompt_length], ids[prompt_length:])


def _key(text: Text) -> int:
    """63 bits of a digest: two texts of a seed share one with a chance of about one in 10^12."""
    digest = hashlib.sha256(f"{len(text.prompt)}/{text.prompt}{text.completion}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
