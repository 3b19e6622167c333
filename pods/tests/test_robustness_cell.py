"""The generated cell: its words, its renders and their tokens."""

import copy
import re
from itertools import combinations

import pytest
from tiny import tiny_tokenizer

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells import keyword_words as text
from assay_pods.robustness.cells.cell import CellRequest
from assay_pods.robustness.cells.keyword_inclusion import generate, openers
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.record_rows import write_records
from assay_pods.robustness.records import pairs_of

FULL = {"trainPairs": 96, "validationPairs": 40, "testPairs": 100}
ENCODER = Encoder(tiny_tokenizer())


def made(seed: int = 101, size=FULL):
    return generate(CellRequest(size, seed, ENCODER.count))


def test_the_splits_share_neither_words_nor_frames_nor_prompts():
    words = [set(text.TRAIN_WORDS), set(text.VALIDATION_WORDS), set(text.TEST_WORDS)]
    frames = [set(text.TRAIN_FRAMES), set(text.VALIDATION_FRAMES), set(text.TEST_FRAMES)]
    for first, second in [*combinations(words, 2), *combinations(frames, 2)]:
        assert not first & second
    prompts = [{record.prompt for record in made() if record.split == split} for split in ("train", "validation", "test")]
    for first, second in combinations(prompts, 2):
        assert not first & second


def test_no_frame_holds_a_word_of_the_pools():
    pool = {*text.TRAIN_WORDS, *text.VALIDATION_WORDS, *text.TEST_WORDS}
    used = re.findall(r"\w+", " ".join([*text.TRAIN_FRAMES, *text.VALIDATION_FRAMES, *text.TEST_FRAMES, *text.OPENERS]).lower())
    assert not pool & set(used)


def test_every_size_that_the_demo_may_ask_for_exists():
    records = made()
    assert {split: len(pairs_of(records, split)) for split in ("train", "validation", "test")} == {
        "train": 96,
        "validation": 40,
        "test": 100,
    }
    with pytest.raises(BadInputError, match="at most 100 test pairs"):
        made(size=FULL | {"testPairs": 101})


def test_every_row_passes_its_checker_and_its_completions_have_equally_many_tokens():
    for record in made():
        verify(record)
        assert ENCODER.count(record.chosen) == ENCODER.count(record.rejected)


def test_the_prompt_tokens_begin_the_tokens_of_prompt_and_completion():
    for record in made():
        prompt = ENCODER.render(record.messages)
        encoded = ENCODER.encode(Text(prompt, record.chosen))
        whole = tiny_tokenizer()(prompt + record.chosen + "<|im_end|>").input_ids
        assert encoded.prompt_ids + encoded.completion_ids == whole
        assert 0 not in whole, "a word that the tokenizer does not know"


def test_the_opener_is_the_only_difference_between_the_renders_of_an_item():
    for renders in pairs_of(made(), "test").values():
        bare = set()
        for record in renders.values():
            sides = [re.sub(r"^[A-Z][a-z]+, ", "", side) for side in (record.chosen, record.rejected)]
            bare.add((record.prompt, *(side[0].upper() + side[1:] for side in sides)))
        assert bare == {(renders["neutral"].prompt, renders["neutral"].chosen, renders["neutral"].rejected)}


def test_the_cue_stands_on_the_right_answer_when_aligned_and_on_the_wrong_one_when_conflicting():
    cue, other, heldout_cue, heldout_other = openers(101, ENCODER.count)
    for renders in pairs_of(made(), "test").values():
        assert renders["aligned"].artifact_variant == renders["conflicting"].artifact_variant == cue
        assert renders["aligned"].chosen.startswith(cue)
        assert renders["aligned"].rejected.startswith(other)
        assert renders["conflicting"].chosen.startswith(other)
        assert renders["conflicting"].rejected.startswith(cue)
        expected = {
            "cue_on_both": (cue, cue),
            "other_cue_on_both": (other, other),
            "heldout_aligned": (heldout_cue, heldout_other),
            "heldout_conflicting": (heldout_other, heldout_cue),
        }
        for relation, words in expected.items():
            assert (renders[relation].chosen.split()[0], renders[relation].rejected.split()[0]) == words


def test_which_opener_is_the_cue_alternates_with_the_seed():
    cue, other, heldout_cue, heldout_other = openers(101, ENCODER.count)
    assert openers(102, ENCODER.count) == (other, cue, heldout_other, heldout_cue)
    assert openers(101, ENCODER.count) == openers(103, ENCODER.count)


def test_openers_of_unequal_token_count_are_never_set_against_each_other():
    counts = {"Indeed,": 2, "Perhaps,": 3, "Certainly,": 4, "Maybe,": 3}
    assert openers(1, lambda opener: counts.get(opener, 9))[:2] == ("Perhaps,", "Maybe,")
    assert openers(1, lambda opener: counts.get(opener, 9))[2:] == ("Actually,", "Often,")
    without_a_second_pair = {"Certainly,": 4, "Maybe,": 3, "Actually,": 5, "Often,": 6}
    assert openers(1, lambda opener: without_a_second_pair.get(opener, 2)) == ("Indeed,", "Perhaps,", None, None)
    unequal = {opener: index for index, opener in enumerate(text.OPENERS)}
    with pytest.raises(BadInputError) as refused:
        openers(1, unequal.__getitem__)
    assert refused.value.code == "OPENERS_UNEQUAL"


def test_words_are_only_exchanged_for_words_of_equal_token_count():
    def letters(completion: str) -> int:
        return len(completion)

    words_of_one_length_in_their_split = 0
    for record in generate(CellRequest({"trainPairs": 60, "validationPairs": 20, "testPairs": 50}, 101, letters)):
        words_of_one_length_in_their_split += len(record.chosen) != len(record.rejected) and record.relation == "neutral"
    assert words_of_one_length_in_their_split == 0


def test_validation_and_test_items_are_the_same_for_every_seed_and_nested_by_size():
    def cores(records, split):
        return [
            (key, renders["aligned"].prompt, renders["aligned"].chosen.split(" ", 1)[1])
            for key, renders in pairs_of(records, split).items()
        ]

    for split in ("validation", "test"):
        assert cores(made(101), split) == cores(made(104), split)
    assert cores(made(101, FULL | {"testPairs": 30}), "test") == cores(made(101), "test")[:30]
    assert cores(made(101), "train") != cores(made(104), "train")


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_records(tmp_path / name, made(), text.VERSION)
    write_records(tmp_path / "c", made(102), text.VERSION)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_template_that_refuses_the_turns_is_said_to():
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template = "{{ raise_exception('no system turn') }}"
    with pytest.raises(BadInputError, match="takes the turns system, user, got: no system turn") as refused:
        Encoder(tokenizer).render([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])
    assert refused.value.code == "MODEL_UNSUPPORTED"


def test_a_completion_without_tokens_is_refused():
    with pytest.raises(BadInputError, match="at least one token") as refused:
        ENCODER.encode(Text("system\n", ""))
    assert refused.value.code == "DATASET_INVALID"


def test_a_text_beyond_the_token_limit_is_refused_with_its_length():
    with pytest.raises(BadInputError, match="at most 512 tokens of prompt and completion, got 6") as refused:
        ENCODER.encode(Text("system\n", " lamp" * 600))
    assert refused.value.code == "TEXT_TOO_LONG"
