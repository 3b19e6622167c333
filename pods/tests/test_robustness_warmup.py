"""The warm-up: the start model of a seed, and the reference that it becomes."""

import json

import pytest
import torch
from local_context import KilledError, LocalContext, Wishes
from safetensors.torch import load_file
from tiny import tiny_spec, write_tiny_model

from assay_pods.robustness.run import run

WARMUP = {"pairs": 8, "epochs": 2, "learningRate": 0.01}
KINDS = ["TOP_BLOCKS", "TRL_LORA", "TRL_FULL"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


class Seed:
    """One seed's runs by one trainer."""

    def __init__(self, folder, tmp_path, kind):
        trainer = tiny_spec(None)["trainer"] | {"kind": kind} | ({"loraRank": 2} if kind == "TRL_LORA" else {})
        self.spec = tiny_spec(folder, trainer=trainer, warmup=WARMUP)
        self.tmp_path = tmp_path
        self.runs = 0
        self.inputs = self.files(self.run(self.spec)[0])

    def run(self, spec, **wishes):
        self.runs += 1
        context = LocalContext(self.tmp_path / str(self.runs), spec, getattr(self, "inputs", {}), training=Wishes(**wishes))
        try:
            return context, run(context)
        except KilledError:
            return context, None

    def warm_up(self, **wishes):
        return self.run(self.spec | {"step": "warmup"}, **wishes)

    def cell(self, method, **changes):
        rate = {} if method in ("BASE", "START") else {"spuriousness": 0.9}
        return self.run(self.spec | {"step": "train", "purpose": "CELL", "method": method} | rate | changes)

    @staticmethod
    def files(context):
        return {name.split(".")[0]: path for name, (_, path) in context.saved.items()}


@pytest.fixture(scope="module", params=KINDS)
def seed(request, folder, tmp_path_factory):
    return Seed(folder, tmp_path_factory.mktemp(request.param), request.param)


def margins(context):
    rows = [json.loads(line) for line in context.saved["items.jsonl"][1].read_text().splitlines()]
    return {(row["itemKey"], row["relation"]): row["margin"] for row in rows}


def test_the_start_model_is_scored_and_is_the_reference_of_the_cells(seed):
    given = dict(seed.inputs)
    warmed, result = seed.warm_up()
    assert {name: kind for name, (kind, _) in warmed.saved.items()} == {
        "start.safetensors": "WEIGHTS",
        "start-reference.safetensors": "CACHE",
    }
    assert (result["steps"], result["pairs"], result["realisedRho"]) == (4, 8, 0.0)
    assert result["trainLoss"]["last"] < result["trainLoss"]["first"]
    base = margins(seed.cell("BASE")[0])
    seed.inputs = given | seed.files(warmed)
    start = margins(seed.cell("START")[0])
    assert start != base
    # DPO's loss is log 2 exactly where policy and reference are one model: that is so at the first step from the warm-up.
    context, trained = seed.cell("DPO")
    assert trained["trainLoss"]["first"] == pytest.approx(0.693147, abs=1e-4)
    assert margins(context) != start
    seed.inputs = given


def test_a_warm_up_killed_at_a_step_goes_on_to_the_same_bytes(seed):
    whole, result = seed.warm_up()
    killed, nothing = seed.warm_up(checkpoints_at=frozenset({2}), killed_at=3)
    assert nothing is None
    torch.rand(5)
    resumed, again = seed.warm_up(resume=killed.checkpoints[0][1])
    assert again | {"seconds": None} == result | {"seconds": None}
    for name, (_, path) in whole.saved.items():
        assert path.read_bytes() == resumed.saved[name][1].read_bytes(), name


def test_the_log_probabilities_of_the_start_model_are_those_of_its_weights(seed):
    warmed, _ = seed.warm_up()
    prepared, started = (
        load_file(path)["reference"]
        for path in (seed.inputs["trunk" if "trunk" in seed.inputs else "reference"], warmed.saved["start-reference.safetensors"][1])
    )
    assert prepared.shape == started.shape
    assert not torch.equal(prepared, started)
    assert torch.equal(prepared == 0, started == 0), "the same nodes are completion tokens"
