"""The report as a document: its bytes, its sentences and its table."""

import json
import re

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.robustness.report import SCHEMA, write_report
from assay_pods.robustness.report_export import to_json
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


def test_the_document_is_plain_json_with_its_schema_and_all_files(tmp_path):
    document, context = write(tmp_path)
    assert document["schema"] == SCHEMA == "assay.robustness.report/2"
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {name: kind for name, (kind, _) in context.saved.items()} == {
        "report.json": "REPORT_JSON",
        "report.txt": "REPORT_TEXT",
        "report.md": "REPORT_MARKDOWN",
        "report.html": "REPORT_HTML",
        "lm-eval.json": "LM_EVAL_JSON",
        "items-export.jsonl": "ITEMS_EXPORT",
    }
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
        families=((None, None),),
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
    context.inputs["items:2"].write_text("".join(context.inputs["items:2"].read_text().splitlines(keepends=True)[3:]))
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


@pytest.mark.parametrize(("other", "came"), [(5, "DPO at rho 0.1 with seed 101"), (2, "SFT at rho 0.1 with seed 101"), (0, "BASE with")])
def test_a_result_of_another_cell_is_refused(tmp_path, other, came):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    context.inputs["result:1"] = context.inputs[f"result:{other}"]
    with pytest.raises(BadInputError, match=f"wanted the result of SFT at rho 0 with seed 101, got {came}"):
        write_report(context)


def test_fewer_items_than_a_result_says_are_refused(tmp_path):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    context.inputs["items:2"].write_text("".join(context.inputs["items:2"].read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BadInputError, match=r"items:2: wanted \d+ items as its result says"):
        write_report(context)


def test_a_name_cannot_steer_the_terminal_that_shows_the_table(tmp_path):
    _, context = write(tmp_path, planted.spec(name="\x1b[2J\x07mine"))
    text = context.saved["report.txt"][1].read_text()
    assert "mine" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_the_heading_tells_sizes_and_learning_rates_of_what_ran(tmp_path):
    trainer = planted.spec()["trainer"] | {"learningRate": {"SFT": 2e-4, "DPO": 2e-4, "KTO": 2e-4}}
    _, context = write(tmp_path / "a", planted.spec(trainer=trainer))
    text = context.saved["report.txt"][1].read_text()
    assert "96 train, 40 validation, 60 test pairs; 16 generated texts a run" in " ".join(text.split())
    assert "learning rate 0.0002" in text
    trainer["learningRate"] = {"SFT": 1e-5, "DPO": 2e-4, "KTO": 2e-4}
    given = planted.context(tmp_path / "b", planted.spec(trainer=trainer, data={"kind": "UPLOADED", "digest": "e" * 64}), MODEL)
    given.inputs["prepared:0"].write_text(json.dumps({"seed": 101, "records": {"train": 30, "validation": 8, "test": 24}}))
    write_report(given)
    text = " ".join(given.saved["report.txt"][1].read_text().split())
    assert "30 train, 8 validation, 24 test rows" in text
    assert "learning rate 0.0002 (DPO), 0.0002 (KTO), 1e-05 (SFT)" in text


def test_times_of_preparing_are_in_the_totals_and_a_run_without_result_has_none(tmp_path):
    document, context = write(tmp_path, without=(1,))
    assert document["seconds"]["prepare"] == {"wall": 1.5, "cpu": 1.5}
    assert "prepare: 1.5 s wall, 1.5 s CPU" in context.saved["report.txt"][1].read_text()
    assert re.search(r"^  SFT +0 +- +- +0 +0$", context.saved["report.txt"][1].read_text(), re.M)


def test_a_cue_effect_without_a_correlation_is_said(tmp_path):
    leaning = planted.model(4.0, lambda method, rate: {("KTO", 0.0): -0.9, ("DPO", 1.0): 8.0}.get((method, rate), 0.0))
    said = [one for one in write(tmp_path / "a", margins=leaning)[0]["caveats"] if "at rho 0" in one]
    assert len(said) == 1
    assert said[0].startswith("KTO at rho 0: margins lean on the cue although nothing tied it to the right answer (E = -0.9 [-0.9, -0.9]")


def test_warnings_of_preparing_and_training_reach_the_reader_once(tmp_path):
    context = planted.context(tmp_path, planted.spec(), MODEL)
    for number in (8, 9):
        result = json.loads(context.inputs[f"result:{number}"].read_text())
        context.inputs[f"result:{number}"].write_text(json.dumps(result | {"warnings": ["z0 was clamped"]}))
    context.inputs["prepared:0"].write_text(json.dumps({"seed": 101, "warnings": ["3 rows are odd"]}))
    caveats = write_report(context)["caveats"]
    assert caveats[-2:] == ["data of seed 101: 3 rows are odd.", "KTO at rho 0.1, KTO at rho 0.9: z0 was clamped."]
    assert "z0 was clamped" in context.saved["report.txt"][1].read_text()


def test_methods_that_stand_on_the_positive_control_of_another_are_named(tmp_path):
    said = " ".join(write(tmp_path / "a")[0]["notShown"])
    assert "KTO, SFT: no cell at rho = 1 of its own; that a learned cue is detected rests on DPO." in said
    all_three = planted.spec(at_one=("SFT", "DPO", "KTO"))
    assert "no cell at rho = 1 of its own" not in " ".join(write(tmp_path / "b", all_three)[0]["notShown"])
