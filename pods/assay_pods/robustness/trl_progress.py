"""How a TRL trainer tells of its steps, keeps and restores its state, and is stopped."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from assay_pods.common.checkpoint_files import read_state
from assay_pods.common.checkpoints import Checkpoints, Training
from assay_pods.common.context import RunContext
from assay_pods.robustness.attention import for_scoring
from assay_pods.robustness.train import Work, note_quarter, tell_step
from assay_pods.robustness.train_log import TrainLog, check_finite


class Progress(TrainerCallback):
    """Tells the run about steps and losses, keeps and restores the training's state, and lets the run stop."""

    def __init__(self, context: RunContext, work: Work, log: TrainLog) -> None:
        """Keep what a callback needs."""
        self._context = context
        self._work = work
        self._log = log
        self._checkpoints: Checkpoints | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write a checkpoint of the step before, or restore one at the beginning."""
        # Here, and not after a step: only now has the trainer logged that step and drawn what this one needs.
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(self._context, self._training(**kwargs))
            self._log.steps_planned = state.max_steps
            self._checkpoints.resume()
        elif state.global_step > 0:
            self._checkpoints.after_step(state.global_step)
        self._context.progress("training", state.global_step, state.max_steps)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Note what the trainer says of a step."""
        logs = kwargs["logs"]
        if "kl" in logs:
            self._log.reference_points.append(float(logs["kl"]))
        if "logps/chosen" in logs:
            self._log.chosen_logprobs.append(float(logs["logps/chosen"]))
        if "loss" not in logs:
            return
        check_finite(float(logs["loss"]), state.global_step)
        self._log.losses.append(float(logs["loss"]))
        tell_step(self._context, self._log)
        model = kwargs["model"]
        with for_scoring(model.get_base_model() if hasattr(model, "get_base_model") else model) as plain:
            note_quarter(self._log, self._work, plain)
        model.train()
        if self._context.score_partial_requested:
            control.should_training_stop = True

    def _training(self, *, model: Any, optimizer: Any, lr_scheduler: Any, **_: Any) -> Training:
        weights = {name: value for name, value in model.named_parameters() if value.requires_grad}
        # Accelerate wraps the optimiser; what is inside is torch's own.
        return Training(weights, getattr(optimizer, "optimizer", optimizer), lr_scheduler, self._log)


class Resumable:
    """Makes a trainer skip the steps of a checkpoint without reading one of its own kind: `Progress` restores the rest."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        pass


def state_to_resume(context: RunContext, args: TrainingArguments) -> str | None:
    """Gives a folder that says to the trainer which steps are done, and nothing more."""
    if context.resume is None:
        return None
    folder = context.work_dir / "resume"
    folder.mkdir()
    done = TrainerState(global_step=read_state(context.resume)["step"], logging_steps=1, train_batch_size=args.train_batch_size)
    done.save_to_json(str(folder / TRAINER_STATE_NAME))
    return str(folder)
