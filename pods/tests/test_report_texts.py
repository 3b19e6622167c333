"""Where the task is judged by the checker on generated text, that decides, and only over enough texts."""

import json

import pytest

from assay_pods.robustness.report import write_report
from tests import planted

INSTRUCTIONS = ("CONSTRAINED_INSTRUCTION_FOLLOWING", "FEATURE_AMBIGUITY")
CUES = {("DPO", 1.0): 1.0}
MODEL = planted.model(8.0, lambda method, rate: CUES.get((method, rate), 0.0))
"""By forced choice every answer is right, whatever the cue."""


@pytest.fixture
def report(tmp_path):
    def write(passes, texts=40, splits=("test", "validation"), seeds=(101,)):
        spec = planted.spec(families=(INSTRUCTIONS,), seeds=seeds)
        context = planted.context(tmp_path, spec | {"contrast": spec["contrast"]}, MODEL)
        for cell in spec["cells"]:
            path = context.inputs[f"items:{cell['input']}"]
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                row |= {"tokensRejected": 12, "tokenMeanScore": 1}
                if row["split"] in splits and row["relation"] in ("aligned", "conflicting") and int(row["itemKey"][-3:]) < texts:
                    score = int(passes(cell["method"], cell.get("spuriousness"), row["split"], row["relation"]))
                    row["generation"] = {"text": "x", "scores": {"strict": score, "loose": score}}
            path.write_text("\n".join(map(json.dumps, rows)) + "\n")
        return write_report(context)

    return write


def follows_the_cue_at_high_rates(method, rate, split, relation):
    return relation == "aligned" or (rate or 0.0) < 0.5


def cells_of(document):
    return {(cell["method"], cell["spuriousness"]): cell for cell in document["cells"]}


def test_the_checker_on_enough_texts_decides_against_forced_choice(report):
    document = report(follows_the_cue_at_high_rates)
    cell = cells_of(document)["SFT", 0.9]
    assert (cell["primaryScore"], cell["verdict"], cell["gap"]["value"], cell["gap"]["n"]) == ("generatedText", "MEASURED", 1.0, 40)
    assert cell["unequalLengths"]["accuracyBySum"]["conflicting"] == 1.0
    assert document["declaredContrast"]["estimate"]["value"] == 1.0
    assert any("checker's on generated text" in sentence for sentence in document["caveats"])


def test_the_core_gate_is_the_checkers_on_texts_for_validation_prompts(report):
    document = report(lambda method, rate, split, relation: split == "test" or method != "KTO")
    gates = {gate["method"]: gate for gate in document["coreGate"]}
    assert (gates["KTO"]["estimate"]["value"], gates["KTO"]["estimate"]["n"], gates["KTO"]["passed"]) == (0.0, 40, False)
    assert gates["SFT"]["passed"] is True
    assert cells_of(document)["KTO", 0.9]["verdict"] == "CORE_NOT_LEARNED"


@pytest.mark.parametrize(
    ("texts", "splits", "seeds", "counted"),
    [(8, ("test", "validation"), (101, 102, 103), 24), (29, ("test", "validation"), (101,), 29), (40, ("test",), (101,), 0)],
)
def test_a_few_texts_decide_nothing_and_the_report_says_so(report, texts, splits, seeds, counted):
    document = report(follows_the_cue_at_high_rates, texts, splits, seeds)
    for cell in document["cells"]:
        assert (cell["primaryScore"], cell["verdict"]) == ("forcedChoice", "TEXT_TOO_FEW")
        assert "generated text not measurable at this size" in cell["reason"]
        assert f"got {counted} in one" in cell["reason"]
    assert cells_of(document)["SFT", 0.9]["gap"]["value"] == 0.0
    assert {row["verdict"] for row in document["degradation"]} == {"NOT_MEASURABLE"}
    assert any("SFT at rho 0.9: generated text not measurable" in sentence for sentence in document["notShown"])


def test_ten_texts_of_each_of_three_seeds_are_enough(report):
    document = report(follows_the_cue_at_high_rates, 10, seeds=(101, 102, 103))
    assert {cell["primaryScore"] for cell in document["cells"]} == {"generatedText"}
