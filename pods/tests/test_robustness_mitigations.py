"""What the mitigations change about a training, by hand, against TRL, and across interruptions."""

import copy
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from local_context import KilledError, LocalContext, Wishes
from test_robustness_trunk import plain_logprob
from tiny import tiny_case, tiny_model, tiny_spec, tiny_tokenizer, write_tiny_model

from assay_pods.common.context import BadInputError
from assay_pods.common.models import LoadedModel
from assay_pods.robustness import groups, losses, order
from assay_pods.robustness.recipe import Variant
from assay_pods.robustness.run import run
from assay_pods.robustness.steps import untied
from assay_pods.robustness.train import train_top_blocks
from assay_pods.robustness.trl_reference import train_with_trl

TIES = Variant("TIES", fraction=0.5)
BALANCED = Variant("GROUP_BALANCED")
DRO = Variant("GROUP_DRO", step_size=0.5)
CASES = [("DPO", TIES), ("SFT", BALANCED), ("DPO", BALANCED), ("KTO", BALANCED), ("SFT", DRO)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def given(folder, tmp_path_factory):
    made = {}
    for kind in ("TOP_BLOCKS", "TRL_FULL"):
        context = LocalContext(tmp_path_factory.mktemp(kind), tiny_spec(folder, trainer=trainer_of(kind)))
        run(context)
        made[kind] = {name.split(".")[0]: path for name, (_, path) in context.saved.items()}
    return made


def trainer_of(kind):
    return tiny_spec(None)["trainer"] | {"kind": kind}


def document(variant):
    return (
        {"kind": variant.kind} | ({"fraction": variant.fraction} if variant is TIES else {}) | ({"stepSize": 0.5} if variant is DRO else {})
    )


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
@pytest.mark.parametrize(("method", "variant"), CASES)
def test_a_killed_and_resumed_mitigation_equals_the_uninterrupted_one_bit_for_bit(folder, given, tmp_path, kind, method, variant):
    spec = tiny_spec(folder, step="train", method=method, spuriousness=0.7, trainer=trainer_of(kind), variant=document(variant))

    def attempt(name, **wishes):
        return LocalContext(tmp_path / name, spec, given[kind], training=Wishes(**wishes))

    whole, killed = attempt("whole"), attempt("killed", checkpoints_at=frozenset({3}), killed_at=5)
    result = run(whole)
    with pytest.raises(KilledError):
        run(killed)
    torch.rand(3)
    resumed = attempt("resumed", resume=killed.checkpoints[0][1])
    assert run(resumed) | {"seconds": None} == result | {"seconds": None}
    for name, (_, path) in whole.saved.items():
        assert path.read_bytes() == resumed.saved[name][1].read_bytes(), name
    assert result["variant"] == document(variant)
    assert result["steps"] == 8
    assert (result["groupWeights"] is not None) == (variant is DRO)


@pytest.mark.parametrize(("method", "variant"), CASES)
def test_both_trainers_give_the_same_losses_under_a_mitigation(tmp_path, method, variant):
    case = tiny_case()
    work = case.work(method, 0.7, variant)
    case = case.extended(work)
    ours, trl = tiny_model(), tiny_model()
    log = train_top_blocks(case.top(ours), work, LocalContext(tmp_path / "ours", case.spec))
    spec = case.spec | {"trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}}
    context = LocalContext(tmp_path / "trl", spec)
    theirs = train_with_trl(LoadedModel(trl, tiny_tokenizer()), work, context, case.shared, blocks=2).log
    assert log.losses == pytest.approx(theirs.losses, abs=1e-4)
    assert log.group_weights == pytest.approx(theirs.group_weights, abs=1e-5)
    assert log.tokens == theirs.tokens


@pytest.mark.parametrize(("method", "variant"), CASES)
def test_a_mitigation_takes_as_many_updates_of_as_many_prompts_and_another_path(tmp_path, method, variant):
    case = tiny_case()
    work, plain = case.work(method, 0.7, variant), case.work(method, 0.7)
    case = case.extended(work)
    assert [len(step.right) for step in work.steps] == [len(step.right) for step in plain.steps]
    logs = [
        train_top_blocks(case.top(), some, LocalContext(tmp_path / name, case.spec)) for name, some in (("own", work), ("plain", plain))
    ]
    assert len(logs[0].losses) == len(logs[1].losses)
    assert logs[0].losses != logs[1].losses


def test_a_tie_is_one_right_answer_with_the_cue_in_two_places_and_its_loss_is_smallest_where_both_are_equal():
    case = tiny_case()
    work = case.work("DPO", 0.7, TIES)
    ties = [(right, wrong) for step in work.steps for right, wrong, tie in zip(step.right, step.wrong, step.ties, strict=True) if tie]
    assert len(ties) == round(TIES.fraction * len(case.plan.pairs))
    by_text = {case.plan.text(record, True): record for pair in case.plan.pairs for record in pair.values()}
    for right, wrong in ties:
        assert (by_text[right].relation, by_text[wrong].relation) == ("aligned", "conflicting")
        assert by_text[right].pair_id == by_text[wrong].pair_id
    ties_b = torch.tensor([True])
    at = [losses.dpo_loss(torch.tensor([x]), torch.tensor([0.0]), 0.1, ties_b).item() for x in (-3.0, 0.0, 3.0)]
    assert at[0] == pytest.approx(at[2])
    assert at[1] == pytest.approx(math.log(2))
    assert at[1] < at[0]
    by_hand = -0.5 * sum(math.log(1 / (1 + math.exp(-sign * 0.3))) for sign in (1, -1))
    assert at[2] == pytest.approx(by_hand, abs=1e-6)


def test_the_realised_rate_is_that_of_the_rows_that_ties_left():
    case = tiny_case()
    work, rows = case.work("DPO", 0.7, TIES), case.rows(0.7)
    left = untied(case.plan, rows, work.recipe)
    told = {step.right[place] for step in work.steps for place, tie in enumerate(step.ties) if not tie}
    assert {case.plan.text(row, True) for row in left} == told
    assert len(left) == len(rows) - round(TIES.fraction * len(rows))
    assert untied(case.plan, rows, case.work("DPO", 0.7).recipe) == rows


@pytest.mark.parametrize("method", ["SFT", "DPO", "KTO"])
def test_group_balanced_steps_have_both_groups_equally_often_and_no_neighbour_of_the_same_item(method):
    case = tiny_case()
    aligned = {case.plan.text(pair["aligned"], side) for pair in case.plan.pairs for side in (True, False)}
    plain, work = case.work(method, 0.7), case.work(method, 0.7, BALANCED)
    assert Counter(text in aligned for step in plain.steps for text in step.right) != Counter({True: 8, False: 8})
    for step in work.steps:
        shares = Counter(text in aligned for text in step.right)
        assert shares[True] == shares[False]
        if method == "KTO":
            for own, stand_in in zip(step.right, step.mismatched, strict=True):
                assert stand_in.completion != own.completion
            for group in (True, False):
                assert {label for text, label in zip(step.right, step.labels, strict=True) if (text in aligned) == group} == {True, False}


def test_group_dro_weighs_each_group_by_its_loss_as_written_by_hand(tmp_path):
    case = tiny_case()
    work = case.work("SFT", 0.7, DRO)
    case = case.extended(work)
    model, step = tiny_model(), work.steps[0]
    loss = {}
    for group in groups.GROUPS:
        encoded = [case.plan.encoder.encode(text) for text, own in zip(step.right, step.groups, strict=True) if own == group]
        nats = sum(plain_logprob(model, text, with_end=True) for text in encoded)
        loss[group] = -nats / sum(len(text.completion_ids) for text in encoded)
    grown = {group: 0.5 * math.exp(0.5 * loss[group]) for group in loss}
    weights = {group: weight / sum(grown.values()) for group, weight in grown.items()}
    one = replace(work.recipe, epochs=1)
    log = train_top_blocks(case.top(copy.deepcopy(model)), replace(work, recipe=one, steps=[step]), LocalContext(tmp_path, case.spec))
    assert log.group_weights == pytest.approx(weights, abs=1e-5)
    assert log.losses == pytest.approx([sum(weights[group] * loss[group] for group in loss)], abs=1e-5)


def test_group_weights_stay_a_distribution_and_move_to_the_group_of_larger_loss():
    weights: dict[str, float] = {}
    for _ in range(20):
        weights = groups.raised(weights, {"aligned": 1.0, "conflicting": 2.0}, 0.5)
        assert sum(weights.values()) == pytest.approx(1)
    assert weights["conflicting"] > 0.99
    assert groups.raised({}, {"aligned": 1.0, "conflicting": 1.0}, 0.5) == pytest.approx({"aligned": 0.5, "conflicting": 0.5})


@pytest.mark.parametrize("divisor", [2, 4])
def test_group_dro_in_parts_gives_the_same_training_within_rounding(tmp_path, divisor):
    case = tiny_case()
    work = case.work("SFT", 0.7, DRO)
    case = case.extended(work)
    whole, divided = (
        train_top_blocks(case.top(), work, LocalContext(tmp_path / str(parts), case.spec, training=Wishes(micro_batch_divisor=parts)))
        for parts in (1, divisor)
    )
    assert divided.losses == pytest.approx(whole.losses, rel=1e-3)
    assert divided.group_weights == pytest.approx(whole.group_weights, rel=1e-3)


def test_rows_of_one_group_cannot_be_balanced():
    case = tiny_case()
    with pytest.raises(BadInputError, match="16 aligned, 0 conflicting") as refused:
        case.work("SFT", 1.0, BALANCED)
    assert refused.value.code == "GROUP_EMPTY"


@pytest.mark.parametrize(
    ("method", "variant"),
    [
        ("SFT", {"kind": "TIES", "fraction": 0.25}),
        ("KTO", {"kind": "GROUP_DRO", "stepSize": 0.01}),
        ("DPO", {"kind": "TIES", "fraction": 1}),
    ],
)
def test_a_mitigation_that_its_method_does_not_have_is_refused(folder, given, tmp_path, method, variant):
    spec = tiny_spec(folder, step="train", method=method, spuriousness=0.7, variant=variant)
    with pytest.raises(BadInputError) as refused:
        run(LocalContext(tmp_path, spec, given["TOP_BLOCKS"]))
    assert refused.value.code == "VARIANT_UNKNOWN"


def test_rows_that_come_again_never_stand_beside_themselves_in_a_kto_block():
    """A size control repeats a few rows: three items in a block of eight, one of them in half of it."""
    for keys in (list("aabbccab"), list("aaaabbcc"), list("abcaabcb"), list("aabb")):
        arranged = [keys[place] for place in order.apart(keys)]
        assert sorted(arranged) == sorted(keys)
        assert all(key != arranged[place - 1] for place, key in enumerate(arranged)), arranged
    assert order.apart(list("abcd")) == [0, 1, 2, 3]
