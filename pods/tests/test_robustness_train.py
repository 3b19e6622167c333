"""The cached-trunk trainer: the same updates as TRL's trainers, the same bits every time, and nothing else touched."""

import pytest
import torch
from local_context import LocalContext
from tiny import tiny_case, tiny_model, tiny_tokenizer

from assay_pods.common.context import CancelledError
from assay_pods.common.models import LoadedModel
from assay_pods.robustness.train import train_top_blocks
from assay_pods.robustness.trl_reference import train_with_trl

METHODS = ["SFT", "DPO", "KTO"]


def trained(tmp_path, method: str, model=None, cancel_after: int | None = None):
    """A tiny model after training; gives it with its log and context."""
    case = tiny_case()
    context = LocalContext(tmp_path, case.spec | {"step": "train", "method": method}, cancel_after=cancel_after)
    top = case.top(model)
    return top, train_top_blocks(top, case.work(method), context), context


def updates(model) -> dict[str, torch.Tensor]:
    start = dict(tiny_model().named_parameters())
    return {name: (value - start[name]).detach() for name, value in model.named_parameters()}


def relative_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The length of the difference of two updates over the length of the second."""
    apart = sum((first[name] - value).square().sum() for name, value in second.items())
    return (apart / sum(value.square().sum() for value in second.values())).sqrt().item()


def with_trl(tmp_path, method: str, model=None):
    case = tiny_case()
    spec = case.spec | {"step": "train", "method": method, "trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}}
    loaded = LoadedModel(model or tiny_model(), tiny_tokenizer())
    context = LocalContext(tmp_path, spec)
    return train_with_trl(loaded, case.work(method), context, case.shared, blocks=spec["trainer"]["blocks"])


class FirstUpdateDoneError(Exception):
    """Ends a training after its first update."""


@pytest.mark.parametrize("method", METHODS)
def test_the_first_update_equals_that_of_the_trl_trainer(tmp_path, method, monkeypatch):
    """Both are stopped after one of eight steps; the updates differ by less than a two-hundredth of their length (AdamW's first step
    is the gradient's sign, and a few gradients are next to nothing)."""
    step = torch.optim.AdamW.step

    def stop_after_first(self, closure=None):
        step(self, closure)
        raise FirstUpdateDoneError

    monkeypatch.setattr(torch.optim.AdamW, "step", stop_after_first)
    ours, trl = tiny_model(), tiny_model()
    for train, model in ((trained, ours), (with_trl, trl)):
        with pytest.raises(FirstUpdateDoneError):
            train(tmp_path / train.__name__, method, model)
    assert max(update.abs().max() for update in updates(ours).values()) > 1e-3
    assert relative_difference(updates(ours), updates(trl)) < 5e-3


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_training_follows_the_trl_trainer(tmp_path, method):
    top, log, _ = trained(tmp_path / "ours", method)
    trl = with_trl(tmp_path / "trl", method)
    assert log.losses == pytest.approx(trl.log.losses, abs=1e-4)
    assert log.tokens == trl.log.tokens
    assert relative_difference(updates(top.model), updates(trl.model)) < 5e-3
    assert set(trl.weights) == set(top.trainable())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits(tmp_path, method):
    first, log, _ = trained(tmp_path / "a", method)
    second, again, _ = trained(tmp_path / "b", method)
    assert log == again
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_only_the_top_blocks_move(tmp_path, method):
    top, _, _ = trained(tmp_path, method)
    moved = {name for name, update in updates(top.model).items() if update.abs().max() > 0}
    assert moved == {name for name, _ in top.model.named_parameters() if name.startswith(("model.layers.1.", "model.layers.2."))}
    assert moved == set(top.trainable())


@pytest.mark.parametrize("method", METHODS)
def test_training_lowers_its_loss_and_reports_every_step(tmp_path, method):
    _, log, context = trained(tmp_path, method)
    assert len(log.losses) == 8
    assert log.losses[-1] < log.losses[0]
    assert [metric for metric in context.metrics if metric[0] == "loss"] == [
        ("loss", loss, step) for step, loss in enumerate(log.losses, start=1)
    ]
    assert context.stages == [("training", step, 8) for step in range(9)]


def test_the_methods_count_the_completion_tokens_that_enter_their_losses(tmp_path):
    tokens = {method: trained(tmp_path / method, method)[1].tokens for method in METHODS}
    assert tokens["DPO"] == tokens["KTO"] == 2 * tokens["SFT"]


def test_a_clamped_reference_point_is_said(tmp_path):
    _, log, _ = trained(tmp_path, "KTO")
    clamped = sum(point == 0 for point in log.reference_points)
    assert clamped > 0, "the first step has policy and reference equal"
    assert f"clamped to 0 in {clamped} of 8 steps" in log.warnings()[0]
    assert trained(tmp_path / "sft", "SFT")[1].warnings() == []


def test_a_wish_to_stop_ends_training_at_the_next_step(tmp_path):
    with pytest.raises(CancelledError) as stopped:
        trained(tmp_path, "SFT", cancel_after=3)
    assert stopped.value.last_step == 3


def test_a_wish_to_stop_ends_a_trl_trainer_too(tmp_path):
    case = tiny_case()
    spec = case.spec | {"step": "train", "method": "SFT", "trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}}
    context = LocalContext(tmp_path, spec, cancel_after=2)
    with pytest.raises(CancelledError):
        train_with_trl(LoadedModel(tiny_model(), tiny_tokenizer()), case.work("SFT"), context, case.shared)


def test_lora_trains_adapters_and_leaves_a_plain_model(tmp_path):
    case = tiny_case()
    spec = case.spec | {"step": "train", "method": "DPO", "trainer": case.spec["trainer"] | {"kind": "TRL_LORA", "loraRank": 4}}
    loaded = LoadedModel(tiny_model(), tiny_tokenizer())
    result = train_with_trl(loaded, case.work("DPO", 0.9), LocalContext(tmp_path, spec), case.shared)
    assert result.weights
    assert all("lora_" in name for name in result.weights)
    assert type(result.model) is type(tiny_model())
    assert result.log.losses[-1] < result.log.losses[0]
