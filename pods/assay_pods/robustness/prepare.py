"""Step `prepare`: the data set of one seed, checked, and the cached trunk that all its runs share."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.models import load_model
from assay_pods.common.seeds import seed_everything
from assay_pods.robustness import data_checks, shared, user_items
from assay_pods.robustness.blocks import check_supported
from assay_pods.robustness.cells import find_cell
from assay_pods.robustness.cells.cell import Cell, CellRequest
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.encoding import Encoder
from assay_pods.robustness.plan import make_plan
from assay_pods.robustness.recipe import tokens_max
from assay_pods.robustness.record_rows import read_records, write_records
from assay_pods.robustness.records import SPLITS, Record
from assay_pods.robustness.user_items import hub
from assay_pods.robustness.user_items.read import parse_file


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
    own = _user_rows(context, encoder)
    made = own.records if own else cell.generate(_request(spec, encoder)) if cell else None
    records = read_records(context.inputs["upload"]) if made is None else made
    for record in records:
        data_checks.check_texts(record, encoder)
        verify(record)
    data_checks.check_leakage(records)
    plan = make_plan(records, spec, encoder)
    warnings = data_checks.warnings(records, plan)
    for warning in warnings:
        context.log(warning, "warning")
    path = context.work_dir / "records.jsonl"
    write_records(path, records, cell.version if cell else user_items.VERSION if own else "uploaded/1")
    context.save("records.jsonl", "DATASET", path)
    diagnostics = data_checks.diagnostics(records, plan) | (own.diagnostics if own else {})
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
    return find_cell(data["task"], data["artifact"], data["core"])


def _user_rows(context: RunContext, encoder: Encoder) -> user_items.UserRows | None:
    """Makes the rows over a user's items; None for other data."""
    data = context.spec["data"]
    if data["kind"] not in ("ITEMS", "HUB"):
        return None
    uploaded = data["kind"] == "ITEMS"
    rows = parse_file(context.inputs["upload"], data["format"]) if uploaded else hub.fetch(data, context.cache_dir)

    def measure(record: Record) -> user_items.Length | None:
        try:
            return user_items.Length(*data_checks.check_texts(record, encoder))
        except BadInputError as wrong:
            if wrong.code != "TEXT_TOO_LONG":
                raise
            return None

    return user_items.generate(rows, context.spec, user_items.Room(measure, encoder.tokens_max))


def _request(spec: Mapping[str, Any], encoder: Encoder) -> CellRequest:
    warmup = spec.get("warmup") or {"pairs": 0}
    return CellRequest(spec["size"], spec["seed"], encoder.count, warmup["pairs"], spec["data"])


def _splits(records: Sequence[Record]) -> list[str]:
    """The three splits that there always are, and the warm-up where there is one."""
    return [split for split in SPLITS if split != "warmup" or any(record.split == split for record in records)]
