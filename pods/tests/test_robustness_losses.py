"""Our losses, the formulas written out by hand, and TRL's own trainers, on the same batch."""

import copy
import math

import pytest
import torch
from local_context import LocalContext
from test_robustness_trunk import plain_logprob
from tiny import tiny_case, tiny_model, tiny_tokenizer

from assay_pods.common.models import LoadedModel
from assay_pods.robustness import losses
from assay_pods.robustness.step_losses import STEP_LOSSES, StepSettings
from assay_pods.robustness.train_log import TrainLog
from assay_pods.robustness.trl_reference import make_trainer

BETA = 0.1


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def drifted(model, scale: float):
    """The model after its top blocks have moved away from where they started, as if trained."""
    torch.manual_seed(9)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for block in moved.model.layers[1:]:
            for parameter in block.parameters():
                parameter.add_(torch.randn_like(parameter) * scale)
    return moved


def by_hand(case, step, method: str, policy) -> float:
    """The loss of the first step from log-probabilities of single texts."""
    reference = tiny_model()

    def logprob(model, text):
        return plain_logprob(model, case.plan.encoder.encode(text), with_end=True)

    def ratios(texts):
        return [logprob(policy, text) - logprob(reference, text) for text in texts]

    if method == "SFT":
        tokens = sum(len(case.plan.encoder.encode(text).completion_ids) for text in step.right)
        return -sum(logprob(policy, text) for text in step.right) / tokens
    if method == "DPO":
        pairs = zip(ratios(step.right), ratios(step.wrong), strict=True)
        return sum(-math.log(sigmoid(BETA * (right - wrong))) for right, wrong in pairs) / len(step.right)
    point = max(0.0, sum(ratios(step.mismatched)) / len(step.mismatched))
    values = zip(ratios(step.right), step.labels, strict=True)
    return sum(1 - sigmoid(BETA * (ratio - point) * (1 if label else -1)) for ratio, label in values) / len(step.right)


@pytest.mark.parametrize("scale", [0.0, 0.02])
@pytest.mark.parametrize("method", ["SFT", "DPO", "KTO"])
def test_the_loss_equals_the_hand_formula_and_trl(tmp_path, method, scale):
    case = tiny_case()
    work = case.work(method)
    policy = drifted(tiny_model(), scale)
    log = TrainLog()
    step = work.steps[0]
    ours = sum(part.item() for part in STEP_LOSSES[method](case.top(policy), step, StepSettings(BETA, 1), log))

    spec = case.spec | {"method": method, "trainer": case.spec["trainer"] | {"kind": "TRL_FULL"}}
    trainer = make_trainer(LoadedModel(tiny_model(), tiny_tokenizer()), work, LocalContext(tmp_path, spec))
    trainer.model.load_state_dict(policy.state_dict())
    batch = next(iter(trainer.get_train_dataloader()))
    trl = trainer.compute_loss(trainer.model.train(), batch).item()

    assert ours == pytest.approx(by_hand(case, step, method, policy), abs=1e-5)
    assert ours == pytest.approx(trl, abs=1e-5)


def test_the_reference_point_is_above_zero_in_a_case_that_was_compared():
    case = tiny_case()
    log = TrainLog()
    policy = drifted(tiny_model(), 0.02)
    step = case.work("KTO").steps[0]
    assert len(list(STEP_LOSSES["KTO"](case.top(policy), step, StepSettings(BETA, 1), log))) == 1
    assert log.reference_points[0] > 0.01


def test_kto_is_one_half_and_dpo_is_log_two_before_any_training():
    zeros = torch.zeros(4)
    assert losses.dpo_loss(zeros, zeros, BETA).item() == pytest.approx(math.log(2))
    assert losses.kto_loss(zeros, torch.tensor([True, False, True, False]), torch.tensor(0.0), BETA).item() == 0.5


def test_the_reference_point_is_never_negative_and_has_no_gradient():
    ratios = torch.tensor([-3.0, 1.0], requires_grad=True)
    assert losses.kto_reference_point(ratios).item() == 0
    point = losses.kto_reference_point(-ratios)
    assert point.item() == 1
    assert not point.requires_grad


def test_sft_averages_over_tokens_of_the_batch_and_not_over_texts():
    assert losses.sft_loss(torch.tensor([-2.0, -6.0]), 16).item() == 0.5
