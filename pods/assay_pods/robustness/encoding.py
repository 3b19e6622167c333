"""From texts to tokens: the same for training, for scoring and for the TRL trainers."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from jinja2 import TemplateError

from assay_pods.common.context import BadInputError
from assay_pods.robustness.recipe import TOKENS_MAX


class Text(NamedTuple):
    """A rendered prompt and one completion of it."""

    prompt: str
    completion: str


class Encoded(NamedTuple):
    """Token ids of a prompt and of its completion; the completion ends with the end-of-sequence token."""

    prompt_ids: list[int]
    completion_ids: list[int]


class Known(Protocol):
    """Tokens that were found before."""

    def find(self, text: Text) -> Encoded | None:
        """Gives the tokens of a text; None for one that is not known."""
        ...


class Encoder:
    """Renders prompts and turns texts into tokens with the model's own tokenizer.

    Prompts are rendered by the chat template into plain text, and completions end with the end-of-sequence token: exactly what the TRL
    trainers make of rows in the non-conversational prompt-completion form.
    """

    def __init__(self, tokenizer: Any, tokens_max: int = TOKENS_MAX, known: Known | None = None) -> None:
        """Keeps the tokenizer, which must have a chat template and an end-of-sequence token.

        Args:
            tokenizer: The model's own.
            tokens_max: The longest prompt and completion together that a run accepts.
            known: Tokens that `prepare` found with the same tokenizer.

        Raises:
            BadInputError: MODEL_UNSUPPORTED, when one of the two is missing.
        """
        if not tokenizer.chat_template or tokenizer.eos_token is None:
            raise BadInputError(
                "MODEL_UNSUPPORTED", "wanted a tokenizer with a chat template and an end-of-sequence token, got one without"
            )
        self.tokenizer = tokenizer
        self.tokens_max = tokens_max
        self._known = known
        first = tokenizer("a").input_ids[0]
        self._adds_bos = tokenizer.bos_token_id is not None and first == tokenizer.bos_token_id
        special = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special = special | dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))

    def refuse_special(self, texts: Iterable[str]) -> None:
        """Holds texts of a row to be plain: special tokens, which end turns and give others the word, come from the template alone.

        Raises:
            BadInputError: DATASET_INVALID, when the tokenizer would read a part of a text as a special token.
        """
        # A word that the tokenizer does not know is plain text, although its token counts as special.
        ids = set(self._special.values()) - {self.tokenizer.unk_token_id}
        for text in texts:
            found = [token for token in self._special if token in text]
            found += [self.tokenizer.decode([index]) for index in sorted(ids.intersection(self._ids(text)))]
            if found:
                raise BadInputError("DATASET_INVALID", f"wanted texts without the model's special tokens, got one with {found[0]!r}")

    def render(self, messages: list[dict[str, str]]) -> str:
        """Gives the prompt as text, up to where the assistant speaks; a start token that the tokenizer adds itself is left out.

        Raises:
            BadInputError: MODEL_UNSUPPORTED, when the model's chat template does not take such turns.
        """
        try:
            text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except TemplateError as wrong:
            roles = ", ".join(message["role"] for message in messages)
            raise BadInputError("MODEL_UNSUPPORTED", f"wanted a chat template that takes the turns {roles}, got: {wrong}") from wrong
        return text.removeprefix(self.tokenizer.bos_token) if self._adds_bos else text

    def encode(self, text: Text) -> Encoded:
        """Gives the tokens of a prompt and its completion.

        Raises:
            BadInputError: TOKENS_DIVERGE, when the prompt's tokens are no prefix of the whole text's; TEXT_TOO_LONG, above `tokens_max`;
                DATASET_INVALID, when nothing of the completion is left but its end.
        """
        known = None if self._known is None else self._known.find(text)
        if known is not None:
            return known
        prompt_ids = list(self.tokenizer(text.prompt).input_ids)
        whole_ids = list(self.tokenizer(text.prompt + self.with_end(text.completion)).input_ids)
        if whole_ids[: len(prompt_ids)] != prompt_ids:
            raise BadInputError("TOKENS_DIVERGE", f"wanted the prompt's tokens to begin those of prompt and completion, got {text!r}")
        if len(whole_ids) > self.tokens_max:
            raise BadInputError("TEXT_TOO_LONG", f"wanted at most {self.tokens_max} tokens of prompt and completion, got {len(whole_ids)}")
        if len(whole_ids) - len(prompt_ids) < 2:
            raise BadInputError("DATASET_INVALID", f"wanted a completion of at least one token, got {text.completion!r}")
        return Encoded(prompt_ids, whole_ids[len(prompt_ids) :])

    def with_end(self, completion: str) -> str:
        """Gives the completion with the end-of-sequence text, once."""
        end: str = self.tokenizer.eos_token
        return completion if completion.endswith(end) else completion + end

    def count(self, completion: str) -> int:
        """Gives how many tokens a completion has on its own, without start and end."""
        return len(self._ids(completion))

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)
