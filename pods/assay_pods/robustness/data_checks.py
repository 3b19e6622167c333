"""What must hold of a data set before anything is trained on it, and what a reader of the figures should know of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay_pods.common.context import BadInputError
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.records import SLICE_RELATIONS, Rate, Record, realised_rho, select_renders

RATES_SHOWN = (0.0, 0.1, 0.9, 1.0)
"""Rates at which the diagnostics say what the training rows are like."""


def check_texts(record: Record, encoder: Encoder) -> tuple[int, int]:
    """Refuses a row whose texts cannot be turned into tokens for a run, and names it.

    Returns:
        The tokens of the prompt, and those of the longer completion.

    Raises:
        BadInputError: with the code of what is wrong.
    """
    try:
        encoder.refuse_special([content for _, content in record.prompt] + [record.chosen, record.rejected])
        encoded = [encoder.encode(Text(encoder.render(record.messages), text)) for text in (record.chosen, record.rejected)]
        return len(encoded[0].prompt_ids), max(len(one.completion_ids) for one in encoded)
    except BadInputError as wrong:
        raise BadInputError(wrong.code, f"row {record.id}: {wrong}") from wrong


def check_leakage(records: Sequence[Record]) -> None:
    """Refuses data whose splits share an item: a pair, a core, or a prompt with its right completion.

    Only the warm-up may repeat training items, where there are too few of them.

    Raises:
        BadInputError: SPLITS_OVERLAP.
    """
    seen: dict[Any, Record] = {}
    for record in records:
        keys: list[Any] = [("pair", record.pair_id), (record.prompt, record.chosen)]
        for key in [*keys, *([] if record.core is None else [record.core])]:
            other = seen.setdefault(key, record)
            if _part(other) != _part(record):
                raise BadInputError(
                    "SPLITS_OVERLAP",
                    f"wanted items in one split each, got row {record.id} in {record.split} and {other.id} in {other.split}",
                )


def warnings(records: Sequence[Record], plan: Plan) -> list[str]:
    """Says what a reader of the figures should know."""
    return [
        *_length_warnings(records, plan.encoder),
        *_order_warnings(records, plan),
        *_prompt_warnings(records),
        *_warmup_warnings(records),
    ]


def diagnostics(records: Sequence[Record], plan: Plan) -> dict[str, Any]:
    """Measures the data; see docs/contract.md."""
    differences = [plan.encoder.count(record.chosen) - plan.encoder.count(record.rejected) for record in records]
    return {
        "lengthDifferenceMean": sum(differences) / len(differences),
        "lengthDifferenceMax": max(abs(difference) for difference in differences),
        "artifactVariants": sorted({record.artifact_variant for record in records if record.artifact_present}),
        "sharedPrompts": _shared_prompts(records),
        "candidates": {
            "least": min(record.candidates for record in records),
            "most": max(record.candidates for record in records),
        },
        "warmupRepeatsTraining": _repeated_by_warmup(records),
        "rates": [_at_rate(plan, Rate(rho, plan.rate_mode)) for rho in RATES_SHOWN],
        "slices": _slices(records),
    }


def mean_spurious_bias(rows: Sequence[Record]) -> float:
    """Gives how much more often the cue stands with the right completion than with the wrong one of its row: -1 to 1."""
    with_right = sum(row.cue_target == "gold" for row in rows)
    with_wrong = sum(row.cue_target == "shortcut" for row in rows)
    return (with_right - with_wrong) / len(rows)


def _at_rate(plan: Plan, rate: Rate) -> dict[str, float]:
    rows = select_renders(plan.pairs, rate, plan.seed)
    forced = sum(row.relation in ("aligned", "in_slice") for row in rows)
    return {
        "spuriousness": rate.rho,
        "realisedRho": realised_rho(rows),
        "forcedShare": forced / len(rows),
        "meanSpuriousBias": mean_spurious_bias(rows),
    }


def _slices(records: Sequence[Record]) -> dict[str, list[str]] | None:
    """The slices by what they are for; None for data without slices."""
    found = {name: sorted({record.slice or "" for record in records if record.relation == name}) for name in SLICE_RELATIONS}
    return found if any(found.values()) else None


def _part(record: Record) -> str:
    return "train" if record.split == "warmup" else record.split


def _length_warnings(records: Sequence[Record], encoder: Encoder) -> Iterable[str]:
    unequal = [record.id for record in records if encoder.count(record.chosen) != encoder.count(record.rejected)]
    if unequal:
        yield (
            f"{len(unequal)} of {len(records)} rows have right and wrong completions of unequal token count (first: {unequal[0]}): "
            "summed log-probabilities favour the shorter one"
        )


def _order_warnings(records: Sequence[Record], plan: Plan) -> Iterable[str]:
    given = len({record.pair_id for record in records if record.split == "train"})
    if given != len(plan.pairs):
        yield f"{given - len(plan.pairs)} of {given} training pairs are left out, so that every step has the same number of prompts"
    prompts = len({_forced(renders).prompt for renders in plan.pairs})
    if prompts != len(plan.pairs):
        yield f"{len(plan.pairs)} training pairs share {prompts} prompts: KTO's reference point may pair a prompt with its own completion"


def _forced(renders: Mapping[str, Record]) -> Record:
    return renders["aligned"] if "aligned" in renders else renders["in_slice"]


def _shared_prompts(records: Sequence[Record]) -> int:
    """How many prompts of validation or test items are trained on too, with other completions."""
    trained = {record.prompt for record in records if _part(record) == "train"}
    return len({record.prompt for record in records if _part(record) != "train"} & trained)


def _prompt_warnings(records: Sequence[Record]) -> Iterable[str]:
    shared = _shared_prompts(records)
    if shared:
        yield f"{shared} prompts of validation or test items are trained on too, with other completions: such items are not unseen"


def _repeated_by_warmup(records: Sequence[Record]) -> int:
    """How many core items of the warm-up are training items too."""
    cores = [{record.core for record in records if record.split == split and record.core} for split in ("train", "warmup")]
    return len(cores[0] & cores[1])


def _warmup_warnings(records: Sequence[Record]) -> Iterable[str]:
    repeated = _repeated_by_warmup(records)
    if repeated:
        yield f"{repeated} items of the warm-up are training items too: there are too few for both"
