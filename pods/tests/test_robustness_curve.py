"""Curves over a training, recomputed activations, and attentions that a run cannot have."""

import json

import pytest
from local_context import KilledError, LocalContext, Wishes
from tiny import tiny_model, tiny_spec, write_tiny_model

from assay_pods.common.context import BadInputError
from assay_pods.robustness.attention import for_scoring
from assay_pods.robustness.run import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def prepared(folder, tmp_path, **changes):
    spec = tiny_spec(folder, trainer=tiny_spec(None)["trainer"] | changes)
    context = LocalContext(tmp_path / "prepare", spec)
    run(context)
    return spec | {"step": "train", "spuriousness": 0.9}, {name.split(".")[0]: path for name, (_, path) in context.saved.items()}


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_a_curve_has_a_point_a_quarter_ends_at_the_cells_own_accuracy_and_outlives_a_kill(folder, tmp_path, kind):
    spec, inputs = prepared(folder, tmp_path, kind=kind)
    spec |= {"method": "SFT", "curve": True}
    whole = run(LocalContext(tmp_path / "whole", spec, inputs))
    assert [(point["quarter"], point["step"]) for point in whole["curve"]] == [(1, 2), (2, 4), (3, 6), (4, 8)]
    shown = {group: whole["estimates"]["validation"][group]["value"] for group in ("aligned", "conflicting")}
    assert whole["curve"][-1]["accuracy"] == pytest.approx(shown)
    assert whole["curve"][-1]["balanced"] == pytest.approx(sum(shown.values()) / 2)
    killed = LocalContext(tmp_path / "killed", spec, inputs, training=Wishes(checkpoints_at=frozenset({4}), killed_at=5))
    with pytest.raises(KilledError):
        run(killed)
    resumed = run(LocalContext(tmp_path / "resumed", spec, inputs, training=Wishes(resume=killed.checkpoints[0][1])))
    assert resumed | {"seconds": None} == whole | {"seconds": None}
    assert run(LocalContext(tmp_path / "plain", spec | {"curve": False}, inputs)) | {"seconds": None, "curve": None} == whole | {
        "seconds": None,
        "curve": None,
    }


@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_activations_computed_anew_change_no_loss(folder, tmp_path, kind):
    spec, inputs = prepared(folder, tmp_path, kind=kind)
    spec |= {"method": "DPO"}
    losses = []
    for anew in (False, True):
        context = LocalContext(tmp_path / str(anew), spec | {"trainer": spec["trainer"] | {"gradientCheckpointing": anew}}, inputs)
        run(context)
        losses.append([value for name, value, _ in context.metrics if name == "loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize("attention", ["FLASH_2", "EAGER"])
@pytest.mark.parametrize("kind", ["TOP_BLOCKS", "TRL_FULL"])
def test_an_attention_that_this_pod_or_trainer_does_not_have_is_refused(folder, tmp_path, kind, attention):
    spec, inputs = prepared(folder, tmp_path, kind=kind)
    spec |= {"method": "SFT", "trainer": spec["trainer"] | {"attention": attention}}
    with pytest.raises(BadInputError) as refused:
        run(LocalContext(tmp_path / "run", spec, inputs))
    assert refused.value.code == "ATTENTION_UNSUPPORTED"


def test_a_model_in_training_is_lent_to_scoring_with_the_attention_that_scoring_needs():
    model = tiny_model()
    model.set_attn_implementation("eager")
    with for_scoring(model) as lent:
        assert lent.config._attn_implementation == "sdpa"
    assert model.config._attn_implementation == "eager"


def test_written_texts_and_what_a_render_was_like_stand_in_its_row(folder, tmp_path):
    spec, inputs = prepared(folder, tmp_path)
    context = LocalContext(tmp_path / "run", spec | {"method": "SFT"}, inputs)
    result = run(context)
    rows = [json.loads(line) for line in context.saved["items.jsonl"][1].read_text().splitlines()]
    written = [row for row in rows if "generation" in row]
    assert {row["relation"] for row in written} == {"neutral"}
    assert len(written) == result["generation"]["items"] == 2
    assert all(set(row["generation"]) == {"text", "scores"} for row in written)
    assert {row["artifactPresent"] for row in rows if row["relation"] == "neutral"} == {False}
    assert {row["cueTarget"] for row in rows if row["relation"] == "conflicting"} == {"shortcut"}
