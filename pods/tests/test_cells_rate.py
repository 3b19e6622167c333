"""The rate is a correlation: in real and in made-up data, for every number of candidates."""

from collections import Counter

import pytest
from cell_rows import by_split, cells, names, rows

from assay_pods.common.context import BadInputError
from assay_pods.robustness.data_checks import mean_spurious_bias
from assay_pods.robustness.records import Checker, Rate, Record, pairs_of, ranks, realised_rho, select_renders, trainable_renders

RATES = [0.0, 0.1, 0.333, 0.5, 0.9, 1.0]


def renders(place: int, candidates: int, gold_class: str | None = None) -> dict[str, Record]:
    def row(relation, cue_target):
        prompt = (("system", "Be short."), ("user", f"{place}"))
        return Record(
            f"{place}-{relation}",
            f"{place}",
            "train",
            relation,
            prompt,
            "a",
            "b",
            Checker("exact", {"answer": "a"}),
            cue_target is not None,
            "x",
            cue_target,
            gold_class,
            candidates,
        )

    return {"aligned": row("aligned", "gold"), "conflicting": row("conflicting", "shortcut"), "neutral": row("neutral", None)}


@pytest.fixture(scope="module", params=[2, 4, 90], ids="{} candidates".format)
def many(request):
    return request.param, [renders(place, request.param) for place in range(10_000)]


@pytest.mark.parametrize("rho", RATES)
def test_phi_is_the_asked_rate_and_the_cue_is_right_in_rho_plus_its_share_of_the_rest(many, rho):
    candidates, pairs = many
    chosen = select_renders(pairs, Rate(rho), 101)
    assert abs(realised_rho(chosen) - rho) < 0.03
    right = sum(row.cue_target == "gold" for row in chosen) / len(chosen)
    assert right == pytest.approx(rho + (1 - rho) / candidates, abs=2 / len(chosen))


def test_a_copier_of_the_cue_is_right_in_its_share_of_the_rows_without_spuriousness_and_not_in_half(many):
    candidates, pairs = many
    chosen = select_renders(pairs, Rate(0.0), 5)
    assert sum(row.cue_target == "gold" for row in chosen) == -(-len(chosen) // candidates)


def test_a_coin_between_right_and_wrong_would_be_found_out():
    pairs = [renders(place, 90) for place in range(10_000)]
    coin = [each["aligned" if place % 2 else "conflicting"] for place, each in enumerate(pairs)]
    assert realised_rho(coin) > 0.49


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY", "MATH_REASONING"), ids=names)
def test_a_trained_copier_of_the_note_is_right_in_one_of_ninety_rows_at_rate_0(cell):
    pairs = list(pairs_of(by_split(rows(cell), "train"), "train").values())[:90]
    chosen = select_renders(pairs, Rate(0.0), 101)
    copied = sum(f"says {row.gold}." in row.prompt[-1][1] for row in chosen)
    assert copied == 1


def test_raising_the_rate_changes_rows_one_way_only_in_both_modes(many):
    _, pairs = many
    for mode, free in (("CORRELATION", "conflicting"), ("PREVALENCE", "neutral")):
        chosen = [select_renders(pairs, Rate(rho, mode), 7) for rho in RATES]
        for lower, higher in zip(chosen, chosen[1:], strict=False):
            turned = {(a.relation, b.relation) for a, b in zip(lower, higher, strict=True) if a.relation != b.relation}
            assert turned == {(free, "aligned")}


@pytest.mark.parametrize("rho", RATES)
def test_prevalence_is_the_share_of_rows_with_a_cue_and_that_cue_is_always_right(many, rho):
    _, pairs = many
    chosen = select_renders(pairs, Rate(rho, "PREVALENCE"), 3)
    assert Counter(row.relation for row in chosen) == Counter({"aligned": round(rho * 10_000), "neutral": 10_000 - round(rho * 10_000)})
    assert realised_rho(chosen) == pytest.approx(rho, abs=1e-4)


def test_prevalence_without_a_neutral_render_is_refused():
    pairs = [{relation: each for relation, each in renders(place, 2).items() if relation != "neutral"} for place in range(4)]
    with pytest.raises(BadInputError, match="wanted a neutral render") as refused:
        select_renders(pairs, Rate(0.5, "PREVALENCE"), 1)
    assert refused.value.code == "DATASET_INVALID"


@pytest.mark.parametrize("rho", RATES)
def test_classes_of_right_answers_are_mixed_alike_among_aligned_and_conflicting_rows(rho):
    pairs = [renders(place, 2, "first" if place % 2 else "last") for place in range(96)]
    chosen = select_renders(pairs, Rate(rho), 11)
    for relation in ("aligned", "conflicting"):
        classes = Counter(row.gold_class for row in chosen if row.relation == relation)
        assert abs(classes["first"] - classes["last"]) <= 2


def test_ranks_are_a_permutation_that_the_seed_decides():
    pairs = [renders(place, 4, f"{place % 3}") for place in range(101)]
    first, second = ranks(pairs, 1), ranks(pairs, 2)
    assert sorted(first) == sorted(second) == list(range(101))
    assert first != second
    assert first == ranks(pairs, 1)


def test_texts_are_prepared_only_for_renders_that_some_rate_chooses():
    pairs = [renders(place, 4) for place in range(40)]
    listed = trainable_renders(pairs, "CORRELATION", 9)
    always_aligned = [each for each in listed if len(each) == 1]
    assert len(always_aligned) == 10
    assert all(each[0].relation == "aligned" for each in always_aligned)
    for rho in RATES:
        for row, each in zip(select_renders(pairs, Rate(rho), 9), listed, strict=True):
            assert row in each
    prevalent = {row.relation for each in trainable_renders(pairs, "PREVALENCE", 9) for row in each}
    assert prevalent == {"neutral", "aligned"}


def test_the_mean_spurious_bias_is_how_much_more_often_the_cue_is_on_the_right_side():
    pairs = [renders(place, 2) for place in range(1_000)]
    assert mean_spurious_bias(select_renders(pairs, Rate(0.0), 1)) == 0
    assert mean_spurious_bias(select_renders(pairs, Rate(0.9), 1)) == pytest.approx(0.9, abs=0.002)
    assert mean_spurious_bias(select_renders(pairs, Rate(1.0), 1)) == 1
