"""The report as a document: its bytes, its sentences and its table."""

import json
import re

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.robustness.report import SCHEMA, to_json, write_report
from assay_pods.robustness.report_table import WIDTH
from tests import planted

MODEL = planted.model(4.0, lambda method, rate: {("DPO", 0.9): 6.0, ("DPO", 1.0): 8.0, ("SFT", 0.9): 3.6}.get((method, rate), 0.02))


def masked(value):
    """The document without what may differ between two equal runs."""
    if isinstance(value, dict):
        return {key: masked(one) for key, one in value.items() if key not in ("seconds", "hardware")}
    return [masked(one) for one in value] if isinstance(value, list) else value


def write(folder, planned=None, margins=MODEL, **kwargs):
    context = planted.context(folder, planned or planted.spec(), margins, **kwargs)
    return write_report(context), context


def test_equal_inputs_give_equal_bytes_apart_from_times(tmp_path):
    first, context = write(tmp_path / "a", wall=1.5)
    second, _ = write(tmp_path / "b", wall=77.0)
    assert to_json(masked(first)).encode() == to_json(masked(second)).encode()
    assert first["seconds"] != second["seconds"]
    assert context.saved["report.json"][1].read_text() == to_json(first)


def test_the_order_of_the_plan_and_of_the_items_changes_no_figure(tmp_path):
    first, _ = write(tmp_path / "a")
    turned = planted.spec()
    turned["cells"] = turned["cells"][::-1]
    second, _ = write(tmp_path / "b", turned)
    assert to_json(masked(first)) == to_json(masked(second))


def test_the_document_is_plain_json_with_its_schema_and_both_files(tmp_path):
    document, context = write(tmp_path)
    assert document["schema"] == SCHEMA == "assay.robustness.report/1"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {name: kind for name, (kind, _) in context.saved.items()} == {"report.json": "REPORT_JSON", "report.txt": "REPORT_TEXT"}
    assert context.stages[-1] == ("reporting", 3, 3)


def test_every_estimate_holds_its_value(tmp_path):
    found = []

    def walk(value):
        if isinstance(value, dict):
            if {"value", "low", "high"} <= value.keys() and value["low"] is not None:
                found.append(value)
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    for seeds in ((1,), (1, 2, 3)):
        walk(write(tmp_path / str(len(seeds)), planted.spec(seeds=seeds))[0])
    assert len(found) > 300
    assert [one for one in found if not one["low"] <= one["value"] <= one["high"]] == []


def test_the_caveats_follow_from_the_data(tmp_path):
    said = " ".join(write(tmp_path / "demo")[0]["caveats"])
    for part in (
        "chosen because the effect is visible",
        "One seed",
        "this measures erosion",
        "not ranked",
        "TOP_BLOCKS",
        "Q4_1",
        "rejected answers",
    ):
        assert part in said
    assert "SFT 4,000" in said
    other = planted.spec(
        methods=("DPO",),
        seeds=(1, 2),
        data={"kind": "UPLOADED", "digest": "e" * 64},
        model={"digest": "d" * 64, "source": {"kind": "PATH", "path": "model"}},
        trainer={"kind": "TRL_LORA", "loraRank": 16},
    )
    weak = planted.model(-4.0, lambda method, rate: 0.0)
    said = " ".join(write(tmp_path / "own", other, weak)[0]["caveats"])
    for part in ("chosen because", "One seed", "erosion", "Q4_1", "SFT", "tokens"):
        assert part not in said
    assert "TRL_LORA" in said


def test_generated_text_that_disagrees_with_forced_choice_is_said(tmp_path):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    result = json.loads(context.inputs["result:3"].read_text())
    context.inputs["result:3"].write_text(json.dumps(result | {"generation": {"items": 16, "passed": 1, "relation": "neutral"}}))
    said = [one for one in write_report(context)["notShown"] if "disagree" in one]
    assert len(said) == 1
    assert said[0].startswith("SFT at rho 0.9: forced choice and generated text disagree on neutral items (1.00 by forced choice, 0.06")


def test_methods_are_listed_by_name_whatever_their_figures(tmp_path):
    document, _ = write(tmp_path)
    assert [row["method"] for row in document["degradation"]] == ["DPO", "KTO", "SFT"]
    keys = {key for key in re.findall(r'"(\w+)":', to_json(document))}
    assert not [key for key in keys if "rank" in key.lower() and key != "loraRank"]


@pytest.mark.parametrize("scale", [1.0, 400.0])
def test_the_table_fits_its_width_and_shows_what_counts(tmp_path, scale):
    def margins(*args):
        return scale * MODEL(*args)

    document, context = write(tmp_path, margins=margins, planned=planted.spec(seeds=(1, 2)))
    text = context.saved["report.txt"][1].read_text()
    assert max(map(len, text.splitlines())) <= WIDTH == 110
    for part in (
        "Declared contrast: DPO",
        "RATE_ZERO",
        "RATE_ONE",
        "UNTRAINED_BASE",
        "What was not shown",
        "To keep in mind",
        "CPU s",
        "seeds",
    ):
        assert part in text
    assert sum(len(re.findall(rf"^  {cell['method']} +{cell['spuriousness']:g} ", text, re.M)) >= 3 for cell in document["cells"]) == 10


def test_the_table_of_an_empty_experiment_says_that_it_is_incomplete(tmp_path):
    planned = planted.spec()
    document, context = write(tmp_path, planned, without=range(len(planned["cells"])))
    assert document["complete"] is False
    assert len(document["missingCells"]) == len(planned["cells"])
    assert "INCOMPLETE: 11 runs without a full result" in context.saved["report.txt"][1].read_text()


def test_a_partial_run_is_missing_with_its_counts(tmp_path):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    result = json.loads(context.inputs["result:2"].read_text())
    context.inputs["result:2"].write_text(json.dumps(result | {"itemsScored": result["itemsScored"] - 3}))
    document = write_report(context)
    assert document["complete"] is False
    assert document["missingCells"][0]["reason"] == f"partial: {result['itemsExpected'] - 3} of {result['itemsExpected']} items were scored"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "items:0 line 1: wanted a scored item"),
        ('{"itemKey":"a","split":"test","relation":"aligned","margin":NaN,"score":0}', "margin nan"),
        ('{"itemKey":"a","split":"test","relation":"sideways","margin":1,"score":1}', "a relation of"),
        ('{"itemKey":"a","split":"test","relation":"aligned","margin":1,"score":0.7}', "a score of 0, 0.5 or 1"),
    ],
)
def test_a_broken_item_is_named_by_its_line(tmp_path, line, message):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    context.inputs["items:0"].write_text(line + "\n")
    with pytest.raises(BadInputError, match=message):
        write_report(context)


def test_a_result_of_another_cell_is_refused(tmp_path):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    context.inputs["result:1"] = context.inputs["result:5"]
    with pytest.raises(BadInputError, match="wanted the result of SFT with seed 101"):
        write_report(context)
