"""From records to the report: known scorers answer real rows, and the report finds what they are."""

import json

import pytest
from test_robustness_score import SIZE, coin, oracle, shortcut
from tiny import tiny_case

from assay_pods.robustness.cells.keyword_inclusion import openers
from assay_pods.robustness.record_rows import read_records, write_records
from assay_pods.robustness.records import Rate, realised_rho, select_renders
from assay_pods.robustness.report import write_report
from assay_pods.robustness.score import score_items, write_items
from tests import planted
from tests.local_context import LocalContext

RATES = (0.0, 0.1, 0.9)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """DPO turns from an oracle into a pure shortcut at high rates, SFT is an oracle throughout, KTO tosses a coin."""
    folder = tmp_path_factory.mktemp("experiment")
    case = tiny_case(size=SIZE | {"trainPairs": 96})
    write_records(folder / "records.jsonl", case.records, "planted/1")
    records = read_records(folder / "records.jsonl")
    assert records == case.records
    follows = shortcut(openers(case.spec["seed"], case.plan.encoder.count)[0])
    spec = planted.spec(rates=RATES)
    inputs = {}
    for cell in spec["cells"]:
        method, rate = cell["method"], cell.get("spuriousness")
        scorer = coin if method == "KTO" else follows if method == "DPO" and rate >= 0.9 else oracle
        rows = score_items(case.plan.questions, case.plan, scorer)
        rho = None if rate is None else realised_rho(select_renders(case.plan.pairs, Rate(rate), cell["seed"]))
        files = {name: folder / f"{name}-{cell['input']}" for name in ("items", "result")}
        write_items(files["items"], rows)
        files["result"].write_text(json.dumps(planted.result(cell, rows, 1.0) | {"realisedRho": rho}))
        inputs |= {f"{name}:{cell['input']}": path for name, path in files.items()}
    return write_report(LocalContext(folder / "run", spec, inputs))


def cells_of(document, method):
    return {cell["spuriousness"]: cell for cell in document["cells"] if cell["method"] == method}


@pytest.mark.parametrize("method", ["DPO", "KTO", "SFT"])
def test_the_realised_rate_in_the_report_is_the_asked_one(document, method):
    for rate, cell in cells_of(document, method).items():
        assert cell["realisedRho"] == [pytest.approx(rate, abs=0.03)]


def test_an_oracle_has_gap_zero_at_every_rate(document):
    for cell in cells_of(document, "SFT").values():
        assert (cell["gap"]["value"], cell["reliance"]["value"], cell["verdict"]) == (0.0, 0.0, "NO_DIFFERENCE_SHOWN")


def test_a_shortcut_has_gap_one_and_the_declared_contrast_shows_it(document):
    cell = cells_of(document, "DPO")[0.9]
    assert (cell["gap"]["value"], cell["controlAdjustedGap"]["value"], cell["verdict"]) == (1.0, 1.0, "MEASURED")
    assert document["declaredContrast"]["estimate"]["value"] == 1.0
    assert document["declaredContrast"]["excludesZero"] is True


def test_a_coin_has_not_learned_the_core(document):
    for cell in cells_of(document, "KTO").values():
        assert (cell["verdict"], cell["gap"]) == ("CORE_NOT_LEARNED", None)
        assert cell["reason"] == "core not learned: robustness undefined"
