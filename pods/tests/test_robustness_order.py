"""The order of rows, by itself and as the TRL trainers see it."""

from collections import Counter

import pytest
from local_context import LocalContext
from tiny import tiny_case, tiny_model, tiny_tokenizer

from assay_pods.common.context import BadInputError
from assay_pods.common.models import LoadedModel
from assay_pods.robustness.order import in_steps, kto_blocks, kto_steps, pair_order, pair_steps, row_order, usable_pairs
from assay_pods.robustness.plan import mismatched_text

CASES = [(16, 8), (96, 8), (24, 4), (20, 4), (9, 3), (2, 1), (10, 5)]


@pytest.mark.parametrize(("num_pairs", "size"), CASES)
def test_a_kto_block_has_both_labels_and_no_prompt_twice(num_pairs, size):
    blocks = kto_steps(num_pairs, size, seed=101)
    for block in blocks:
        assert len(block) == 2 * size
        assert len({row.pair for row in block}) == len(block)
        assert {row.desirable for row in block} == {True, False}


@pytest.mark.parametrize(("num_pairs", "size"), CASES)
def test_every_method_takes_equally_many_steps_and_sees_every_pair(num_pairs, size):
    steps, blocks = pair_steps(num_pairs, size, seed=101), kto_steps(num_pairs, size, seed=101)
    assert len(steps) == len(blocks)
    assert sorted(pair for step in steps for pair in step) == list(range(num_pairs))
    assert Counter((row.pair, row.desirable) for block in blocks for row in block) == {
        (pair, side): 1 for pair in range(num_pairs) for side in (True, False)
    }


@pytest.mark.parametrize(("num_rows", "items", "size"), [(96, 10, 4), (96, 17, 8), (64, 16, 8), (24, 24, 4)])
def test_rows_that_come_again_stand_in_one_block_or_step_only_where_there_are_too_few_others(num_rows, items, size):
    """A size control repeats a few rows: however often, a block of 2 x size rows holds 2 x size different ones of at least so many."""
    keys = [f"item {place % items}" for place in range(num_rows)]
    order = row_order(keys, seed=101)
    assert sorted(order) == list(range(num_rows))
    for step in in_steps(order, size):
        assert len({keys[place] for place in step}) == size
    passed = [keys[place] for place in order]
    for block in kto_blocks(range(num_rows), size, keys=passed):
        assert len({passed[row.pair] for row in block}) == 2 * size
        assert {row.desirable for row in block} == {True, False}


def test_rows_that_do_not_come_again_keep_the_order_of_pairs():
    assert row_order([f"item {place}" for place in range(40)], seed=7) == pair_order(40, seed=7)


@pytest.mark.parametrize(("num_pairs", "size"), CASES)
def test_no_prompt_is_paired_with_a_completion_of_its_own(num_pairs, size):
    for block in kto_steps(num_pairs, size, seed=101):
        for place, row in enumerate(block):
            assert row.mismatched_pair != row.pair
            assert (row.mismatched_pair, row.mismatched_desirable) == block[place - 1][:2]


def test_pairs_beyond_whole_steps_are_left_out_and_too_few_are_refused():
    assert [usable_pairs(num, 8) for num in (16, 23, 24, 96)] == [16, 16, 24, 96]
    with pytest.raises(BadInputError, match="at least 16 training pairs") as refused:
        usable_pairs(15, 8)
    assert refused.value.code == "TRAIN_TOO_SMALL"


def test_trl_sees_the_kto_blocks_and_stand_ins_that_the_cached_trunk_trainer_uses(tmp_path):
    from assay_pods.robustness.trl_reference import make_trainer

    case = tiny_case()
    rows = case.rows(0.5)
    spec = case.spec | {"step": "train", "method": "KTO", "trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}}
    trainer = make_trainer(LoadedModel(tiny_model(), tiny_tokenizer()), case.work("KTO"), LocalContext(tmp_path, spec))
    seen = list(trainer.train_dataset)
    planned = [row for block in kto_steps(len(rows), 4, spec["seed"]) for row in block]
    assert len(seen) == len(planned)
    for trl_row, row in zip(seen, planned, strict=True):
        own = case.plan.encoder.encode(case.plan.text(rows[row.pair], row.desirable))
        stand_in = case.plan.encoder.encode(mismatched_text(case.plan, rows[row.pair], rows[row.mismatched_pair], row.mismatched_desirable))
        assert (trl_row["prompt_ids"], trl_row["completion_ids"], trl_row["label"]) == (*own, row.desirable)
        assert trl_row["KL_completion_ids"] == stand_in.completion_ids
        assert trl_row["KL_completion_ids"] != trl_row["completion_ids"]
    assert trainer.args.per_device_train_batch_size == 8
    assert trainer.args.train_sampling_strategy == "sequential"
