"""Distributional narrowness: where training rows come from, and what no training row shows."""

from collections import Counter

import pytest
from cell_rows import SIZES, by_split, cells, count_pieces, names, rows

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells.cell import CellRequest
from assay_pods.robustness.cells.narrow import roles
from assay_pods.robustness.records import Rate, pairs_of, realised_rho, select_renders

NARROW = cells("DISTRIBUTIONAL_NARROWNESS")


def training(cell, rho, size_control=False, seed=101):
    pairs = list(pairs_of(rows(cell, seed), "train").values())
    return select_renders(pairs, Rate(rho, size_control=size_control), seed)


@pytest.mark.parametrize("cell", NARROW, ids=names)
@pytest.mark.parametrize("rho", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_narrow_slice_has_the_asked_share_and_the_rest_is_uniform_over_trained_slices(cell, rho):
    chosen = training(cell, rho)
    slices = chosen[0].candidates
    share = sum(row.relation == "in_slice" for row in chosen) / len(chosen)
    assert share == pytest.approx(rho + (1 - rho) / slices, abs=2 / len(chosen))
    assert realised_rho(chosen) == pytest.approx(rho, abs=0.03)
    others = Counter(row.slice for row in chosen if row.relation == "out_slice")
    assert len(others) == (slices - 1 if rho <= 0.5 else len(others))
    assert not others or max(others.values()) - min([*others.values(), *([0] if len(others) < slices - 1 else [])]) <= 1


@pytest.mark.parametrize("cell", NARROW, ids=names)
def test_no_training_row_is_of_the_unseen_slices_and_every_test_slice_has_the_same_number(cell):
    records = rows(cell, warmup=24)
    unseen = {record.slice for record in records if record.relation == "unseen_slice"}
    assert unseen
    assert not unseen & {record.slice for record in records if record.split in ("train", "warmup")}
    for split, wanted in (("validation", 8), ("test", 12)):
        counts = Counter(record.slice for record in by_split(records, split))
        assert set(counts.values()) == {wanted}
    narrow = {record.slice for record in records if record.relation == "in_slice"}
    assert len(narrow) == 1
    assert all(record.artifact_present == (record.slice in narrow) for record in records)


@pytest.mark.parametrize("cell", NARROW, ids=names)
def test_raising_the_rate_turns_rows_of_other_slices_into_narrow_ones_only(cell):
    lower, higher = training(cell, 0.1), training(cell, 0.9)
    turned = {(a.relation, b.relation) for a, b in zip(lower, higher, strict=True) if a != b}
    assert turned == {("out_slice", "in_slice")}


@pytest.mark.parametrize("cell", NARROW, ids=names)
def test_the_size_control_has_the_rows_that_are_not_forced_as_often_as_it_takes(cell):
    rho = 0.9
    plain, control = training(cell, rho), training(cell, rho, size_control=True)
    assert len(control) == len(plain)
    elsewhere = {row.id for row in plain if row.relation == "out_slice"}
    assert {row.id for row in control if row.relation == "out_slice"} == elsewhere
    times = Counter(row.id for row in control)
    assert max(times.values()) - min(times.values()) <= 1
    assert len(times) == round((1 - rho) * len(plain))


def test_a_size_control_of_forced_rows_alone_is_refused():
    with pytest.raises(BadInputError, match="wanted rows that are not forced") as refused:
        training(NARROW[0], 1.0, size_control=True)
    assert refused.value.code == "TRAIN_TOO_SMALL"


def test_narrow_and_unseen_slice_rotate_with_the_seed():
    groups = [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"]]
    found = [roles(groups, seed) for seed in range(42)]
    assert {each.narrow for each in found} == {each.unseen[0] for each in found} == set("abcdefg")
    for each in found:
        assert each.narrow in each.trained
        assert not set(each.unseen) & set(each.trained)
        assert len(each.trained) == 6
    assert len({(each.narrow, each.unseen) for each in found[:7]}) == 7


def test_slices_that_belong_together_are_left_out_together():
    each = roles([["a/1", "a/2"], ["b/1", "b/2"]], 1)
    assert each.unseen == ("b/1", "b/2")
    assert each.trained == ("a/1", "a/2")


@pytest.mark.parametrize("cell", cells("DISTRIBUTIONAL_NARROWNESS", "MATH_REASONING"), ids=names)
def test_a_slice_with_too_few_items_is_named(cell):
    size = SIZES[cell.artifact] | {"testPairs": 100_000}
    with pytest.raises(BadInputError, match=r"at most \d+ test pairs of the slice add-1d") as refused:
        cell.generate(CellRequest(size, 101, count_pieces))
    assert refused.value.code == "SIZE_TOO_LARGE"


@pytest.mark.parametrize("cell", [cell for cell in NARROW if cell.core == "FULL"], ids=names)
def test_the_full_preset_finds_enough_items_in_every_slice(cell):
    records = cell.generate(CellRequest({"trainPairs": 1_000, "validationPairs": 100, "testPairs": 300}, 101, count_pieces))
    assert set(Counter(record.slice for record in by_split(records, "test")).values()) == {300}
    assert len({record.prompt for record in by_split(records, "train") if record.relation == "in_slice"}) == 1_000
