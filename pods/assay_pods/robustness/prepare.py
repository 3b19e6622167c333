"""Step `prepare`: the data set of one seed, checked, and the cached trunk that all its runs share."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.models import load_model
from assay_pods.common.seeds import seed_everything
from assay_pods.robustness import shared
from assay_pods.robustness.blocks import check_supported
from assay_pods.robustness.cells import find_cell
from assay_pods.robustness.cells.cell import Cell, CellRequest
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.encoding import Encoder, Text
from assay_pods.robustness.plan import Plan, make_plan
from assay_pods.robustness.recipe import tokens_max
from assay_pods.robustness.record_rows import read_records, write_records
from assay_pods.robustness.records import SPLITS, Record


def prepare(context: RunContext) -> dict[str, Any]:
    """Makes or reads the rows, checks every one, computes the trunk where the trainer uses one, and says what was found."""
    started = (time.perf_counter(), time.process_time())
    spec = context.spec
    seed_everything(spec["seed"], spec["threads"])
    context.progress("preparing", 0, 1)
    loaded = load_model(context)
    check_supported(loaded.model)
    encoder = Encoder(loaded.tokenizer, tokens_max(spec))
    cell = _cell(spec["data"])
    records = cell.generate(_request(spec, encoder)) if cell else read_records(context.inputs["upload"])
    for record in records:
        _check_texts(record, encoder)
        verify(record)
    _check_leakage(records)
    plan = make_plan(records, spec, encoder)
    warnings = [*_length_warnings(records, encoder), *_order_warnings(records, plan), *_prompt_warnings(records)]
    for warning in warnings:
        context.log(warning, "warning")
    path = context.work_dir / "records.jsonl"
    write_records(path, records, cell.version if cell else "uploaded/1")
    context.save("records.jsonl", "DATASET", path)
    diagnostics = _diagnostics(records, encoder)
    diagnostics |= shared.make_and_save(context, loaded.model, plan)
    context.progress("preparing", 1, 1)
    return {
        "step": "prepare",
        "seed": spec["seed"],
        "records": {split: sum(record.split == split for record in records) for split in _splits(records)},
        "diagnostics": diagnostics,
        "sequences": len(plan.tree.paths),
        "tokens": len(plan.tree),
        "seconds": {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]},
        "warnings": warnings,
    }


def _cell(data: Mapping[str, Any]) -> Cell | None:
    """Gives the generator of the spec's data; None for uploaded rows."""
    if data["kind"] != "GENERATED":
        return None
    if "cell" in data:
        return find_cell("KEYWORD_INCLUSION" if data["cell"] == "swapOpener" else data["cell"], "FEATURE_AMBIGUITY", "LAPTOP")
    return find_cell(data["task"], data["artifact"], data["core"])


def _request(spec: Mapping[str, Any], encoder: Encoder) -> CellRequest:
    warmup = spec.get("warmup") or {"pairs": 0}
    return CellRequest(spec["size"], spec["seed"], encoder.count, warmup["pairs"], spec["data"])


def _splits(records: Sequence[Record]) -> list[str]:
    """The three splits that there always are, and the warm-up where there is one."""
    return [split for split in SPLITS if split != "warmup" or any(record.split == split for record in records)]


def _check_texts(record: Record, encoder: Encoder) -> None:
    """Refuses a row whose texts cannot be turned into tokens for a run, and names it."""
    try:
        encoder.refuse_special([content for _, content in record.prompt] + [record.chosen, record.rejected])
        for completion in (record.chosen, record.rejected):
            encoder.encode(Text(encoder.render(record.messages), completion))
    except BadInputError as wrong:
        raise BadInputError(wrong.code, f"row {record.id}: {wrong}") from wrong


def _check_leakage(records: Sequence[Record]) -> None:
    """Refuses data whose splits share an item: a pair, or a prompt with its right completion."""
    seen: dict[Any, Record] = {}
    for record in records:
        for key in (record.pair_id, (record.prompt, record.chosen)):
            other = seen.setdefault(key, record)
            if other.split != record.split:
                raise BadInputError(
                    "SPLITS_OVERLAP",
                    f"wanted items in one split each, got row {record.id} in {record.split} and {other.id} in {other.split}",
                )


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
    prompts = len({renders["aligned"].prompt for renders in plan.pairs})
    if prompts != len(plan.pairs):
        yield f"{len(plan.pairs)} training pairs share {prompts} prompts: KTO's reference point may pair a prompt with its own completion"


def _shared_prompts(records: Sequence[Record]) -> int:
    """How many prompts of validation or test items are trained on too, with other completions."""
    trained = {record.prompt for record in records if record.split == "train"}
    return len({record.prompt for record in records if record.split != "train"} & trained)


def _prompt_warnings(records: Sequence[Record]) -> Iterable[str]:
    shared = _shared_prompts(records)
    if shared:
        yield f"{shared} prompts of validation or test items are trained on too, with other completions: such items are not unseen"


def _diagnostics(records: Sequence[Record], encoder: Encoder) -> dict[str, Any]:
    differences = [encoder.count(record.chosen) - encoder.count(record.rejected) for record in records]
    return {
        "lengthDifferenceMean": sum(differences) / len(differences),
        "lengthDifferenceMax": max(abs(difference) for difference in differences),
        "artifactVariants": sorted({record.artifact_variant for record in records if record.artifact_present}),
        "sharedPrompts": _shared_prompts(records),
    }
