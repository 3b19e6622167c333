"""A tiny random Llama with a tokenizer that knows the generated cell's words: a whole model folder in a tenth of a second."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assay_pods.common.model_files import folder_digest
from assay_pods.robustness.cells import find_cell, keyword_words
from assay_pods.robustness.cells.cell import CellRequest
from assay_pods.robustness.encoding import Encoder
from assay_pods.robustness.plan import Plan, make_plan
from assay_pods.robustness.recipe import Recipe, Variant
from assay_pods.robustness.records import Rate, Record, select_renders
from assay_pods.robustness.steps import epoch_of, texts_of
from assay_pods.robustness.train import TopBlocks, Work
from assay_pods.robustness.trl_rows import Shared
from assay_pods.robustness.trunk import Cut, Trunk, compute, extended

torch.set_num_threads(1)  # threads cost more than they give at this size

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word (with the space before it), a mark or a line end."""
    text = keyword_words
    sentences = [*text.TRAIN_FRAMES, *text.VALIDATION_FRAMES, *text.TEST_FRAMES, text.INSTRUCTION, text.SYSTEM_TURN]
    words = [*text.TRAIN_WORDS, *text.VALIDATION_WORDS, *text.TEST_WORDS, *re.findall(r"\w+", " ".join([*sentences, *text.OPENERS]))]
    words += ["system", "user", "assistant"]
    forms = sorted({form for word in words for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")})
    specials = ["<unk>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: index for index, token in enumerate([*specials, *forms, ".", ",", "\n", " "])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?\w+|\n|[^\w\s]| "), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tokenizer_of(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 800 tokens, trained on some texts: no text has an unknown part."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=800, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = CHAT_TEMPLATE
    return fast


def tiny_model(seed: int = 0, tokens: int | None = None) -> LlamaForCausalLM:
    """Three blocks of width 48, weights large enough that its probabilities are far from uniform; `tokens`: size of the vocabulary."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokens or len(tiny_tokenizer()),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def write_tiny_model(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> Path:
    """Writes the tiny model as a folder that a spec can name."""
    used = tokenizer or tiny_tokenizer()
    tiny_model(tokens=len(used)).save_pretrained(folder)
    used.save_pretrained(folder)
    return folder


class TinyCase(NamedTuple):
    """A prepared seed in memory: what the tests of training and scoring start from."""

    spec: dict[str, Any]
    records: list[Record]
    plan: Plan
    trunk: Trunk

    def top(self, model: LlamaForCausalLM | None = None) -> TopBlocks:
        return TopBlocks(model or tiny_model(), self.plan, self.trunk, self.spec["trainer"]["blocks"])

    def rows(self, rho: float) -> list[Record]:
        return select_renders(self.plan.pairs, Rate(rho), self.spec["seed"])

    def work(self, method: str, rho: float = 0.5, variant: Variant | None = None) -> Work:
        """What a trainer of a method is to do at a rate."""
        trainer = self.spec["trainer"]
        recipe = Recipe(
            method=method,
            learning_rate=self.spec["learningRate"],
            epochs=trainer["epochs"],
            prompts_per_step=trainer["promptsPerStep"],
            beta=trainer["beta"],
            seed=self.spec["seed"],
            variant=variant,
        )
        return Work(recipe, epoch_of(self.plan, self.rows(rho), recipe))

    def extended(self, work: Work) -> "TinyCase":
        """The same with every text of some work in its trunk."""
        texts = texts_of(work.steps)
        return self._replace(trunk=extended(Cut(tiny_model(), self.spec["trainer"]["blocks"]), self.plan, self.trunk, texts))

    @property
    def shared(self) -> Shared:
        """What the TRL trainers share."""
        return Shared(self.plan, self.trunk)


def tiny_case(**changes: Any) -> TinyCase:
    """Generates the cell's rows for the tiny model and computes their trunk."""
    spec = tiny_spec(None, **changes)
    encoder = Encoder(tiny_tokenizer())
    cell = find_cell("KEYWORD_INCLUSION", "FEATURE_AMBIGUITY", "LAPTOP")
    records = cell.generate(CellRequest(spec["size"], spec["seed"], encoder.count))
    plan = make_plan(records, spec, encoder)
    return TinyCase(spec, records, plan, compute(tiny_model(), plan, spec["trainer"]["blocks"], lambda done, total: None))


def tiny_spec(folder: Path | None, **changes: Any) -> dict[str, Any]:
    """A spec over the tiny model with every field that a robustness step needs; `changes` replaces whole fields."""
    digest = folder_digest(folder) if folder else "0" * 64
    spec: dict[str, Any] = {
        "capability": "robustness",
        "step": "prepare",
        "version": 2,
        "codeDigest": "0" * 64,
        "model": {"digest": digest, "source": {"kind": "PATH", "path": str(folder)}},
        "data": {"kind": "GENERATED", "task": "KEYWORD_INCLUSION", "artifact": "FEATURE_AMBIGUITY", "core": "LAPTOP"},
        "size": {"trainPairs": 16, "validationPairs": 6, "testPairs": 8, "generationItems": 2},
        "trainer": {
            "kind": "TOP_BLOCKS",
            "blocks": 2,
            "epochs": 2,
            "promptsPerStep": 4,
            "beta": 0.1,
        },
        "rateMode": "CORRELATION",
        "warmup": None,
        "learningRate": 0.01,
        "precision": "fp32",
        "threads": 1,
        "seed": 101,
    }
    return spec | changes
