"""The report of a retrieval experiment: its figures, its verdicts, its files."""

import json
import re

import pytest
import pytrec_eval

from assay_pods.common.context import BadInputError
from tests.retrieval_experiment import FAMILY, SEEDS, TRAINED, helped, report


def row_of(document, key):
    return next(row for row in document["leaderboard"] if row["key"] == key)


def test_a_planted_gain_is_found_where_topics_were_seen_and_nowhere_else(tmp_path):
    _, document = report(tmp_path)
    assert document["verdict"] == "HELPED"
    assert document["summary"][0].startswith("Distillation helped")
    assert [test["verdict"] for test in document["tests"]] == ["BETTER"] * 3
    assert all(test["p"] <= test["adjustedP"] < 0.01 for test in document["tests"])
    groups = row_of(document, "SOFTQE")["groups"]
    assert groups["seen"]["delta"]["low"] > 0.3
    assert groups["unseen"]["delta"]["value"] == 0
    counted = {"tested": 40, "withoutRelevant": 1, "unjudged": 0, "training": 10}
    assert document["queries"] | counted == document["queries"]


def test_rows_are_means_over_seeds_ordered_by_ndcg_with_their_interval_inside(tmp_path):
    _, document = report(tmp_path)
    values = [row["metrics"]["ndcg@10"]["value"] for row in document["leaderboard"]]
    assert values == sorted(values, reverse=True)
    assert {row["key"] for row in document["leaderboard"]} == {
        *("BM25", "BM25_EXPANDED", "BASE", "BASE_EXPANDED", "VECTOR_PRF", "RRF"),
        *("SOFTQE", "SOFTQE_MIXED@0.5", "CONTRASTIVE", "SHUFFLED", "RIDGE"),
    }
    for row in document["leaderboard"]:
        for estimate in row["metrics"].values():
            assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
    softqe = row_of(document, "SOFTQE")
    assert softqe["seeds"] == list(SEEDS)
    assert softqe["seedSd"] is not None
    assert softqe["againstBase"]["wins"] == 20
    assert softqe["againstBase"]["ties"] == 20
    assert row_of(document, "BASE")["againstBase"] is None
    assert row_of(document, "BASE_EXPANDED")["metrics"]["ndcg@10"]["value"] == 1.0


def test_recovered_gain_is_the_share_that_the_student_keeps_and_undefined_without_a_gain(tmp_path):
    _, document = report(tmp_path / "a")
    softqe, base = (row_of(document, key)["metrics"]["ndcg@10"]["value"] for key in ("SOFTQE", "BASE"))
    gain = document["recoveredGain"]
    assert gain["value"] == pytest.approx((softqe - base) / (1 - base))
    assert gain["low"] < gain["value"] < gain["high"]
    _, flat = report(tmp_path / "b", rank=lambda system, query, seed: 9)
    assert flat["recoveredGain"]["value"] is None
    assert "Not defined" in flat["recoveredGain"]["reason"]


@pytest.mark.parametrize(
    ("rank", "verdict"),
    [
        (lambda system, query, seed: helped("SOFTQE" if system == "SHUFFLED" else system, query, seed), "NOT_ATTRIBUTABLE"),
        (lambda system, query, seed: 9, "NO_DIFFERENCE_SHOWN"),
        (lambda system, query, seed: 10 if system == "SOFTQE" else 2, "WORSE"),
    ],
)
def test_a_gain_that_a_control_shares_no_gain_and_harm_are_told_as_such(tmp_path, rank, verdict):
    _, document = report(tmp_path, rank=rank)
    assert document["verdict"] == verdict
    assert "helped:" not in document["summary"][0]


def test_a_closed_gate_is_the_first_thing_that_is_said(tmp_path):
    closed = [{"fold": 0, "open": False, "delta": 0.0, "low": -0.1, "high": 0.1, "queries": 9}]
    distilled = [place for place in range(len(TRAINED) * len(SEEDS)) if TRAINED[place // len(SEEDS)][0] != "CONTRASTIVE"]
    _, document = report(tmp_path, gate=closed, result={"trained": False, "reason": "GATE"}, without=distilled)
    assert document["verdict"] == "GATE_CLOSED"
    assert document["summary"][0].startswith("Nothing was distilled")
    assert {row["reason"] for row in document["missing"]} == {"the gate is closed"}
    assert [test["delta"] for test in document["tests"]] == [None] * 3


def test_a_row_of_the_family_without_a_result_leaves_it_untested_and_holm_over_the_rest(tmp_path):
    _, document = report(tmp_path, without=(4, 5))
    assert [row["system"] for row in document["missing"]] == ["CONTRASTIVE", "CONTRASTIVE"]
    assert document["verdict"] == "NOT_TESTED"
    base, contrastive, shuffled = document["tests"]
    assert contrastive["p"] is None
    assert (base["adjustedP"], shuffled["adjustedP"]) == (pytest.approx(2 * base["p"]), pytest.approx(2 * shuffled["p"]))


def test_a_seed_without_a_result_is_named_and_the_other_seed_counts(tmp_path):
    _, document = report(tmp_path, without=(1,))
    assert row_of(document, "SOFTQE")["seeds"] == [101]
    assert row_of(document, "SOFTQE")["seedSd"] is None
    assert document["missing"] == [{"system": "SOFTQE", "alpha": 1.0, "fold": 0, "seed": 102, "reason": "it gave no result"}]


def test_every_query_has_a_receipt_with_what_it_lost_and_its_first_documents(tmp_path):
    context, _ = report(tmp_path, rank=lambda system, query, seed: 3 if system == "SOFTQE" and query.id == "q3" else 2)
    kind, path = context.saved["queries.jsonl"]
    rows = {row["query"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert kind == "ITEMS_EXPORT"
    assert list(rows) == sorted(rows, key=str.encode)
    assert "q900" not in rows
    assert [query for query, row in rows.items() if row["lost"]] == ["q3"]
    lost = rows["q3"]
    assert lost["delta"]["SOFTQE"] == pytest.approx(lost["systems"]["SOFTQE"]["ndcg@10"] - lost["systems"]["BASE"]["ndcg@10"])
    assert [entry["relevance"] for entry in lost["top"]["SOFTQE"]][:4] == [None, None, 1, None]
    assert lost["systems"]["SOFTQE"]["seeds"] == 2
    assert lost["seconds"]["latencySavedMs"] == pytest.approx(5.0)


def test_the_trec_files_give_trec_eval_the_report_s_own_figures(tmp_path):
    context, document = report(tmp_path)
    with context.saved["qrels.trec"][1].open() as qrels:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels), {"ndcg_cut_10"})
    lines = context.saved["run.trec"][1].read_text().splitlines()
    base = [line for line in lines if line.endswith(" BASE")]
    values = evaluator.evaluate(pytrec_eval.parse_run(base))
    mean = sum(found["ndcg_cut_10"] for query, found in values.items() if query != "q900") / 40
    assert mean == pytest.approx(row_of(document, "BASE")["metrics"]["ndcg@10"]["value"], abs=1e-9)
    assert {line.rsplit(" ", 1)[1] for line in lines} == {row["key"] for row in document["leaderboard"]}


def test_cost_is_told_by_thousand_queries_and_break_even_where_prices_were_declared(tmp_path):
    told = {"queries": {"test": {"asked": 40}, "train": {"asked": 10}}, "promptTokens": 5000, "completionTokens": 1000, "price": 0.5}
    _, document = report(tmp_path / "a", told=told)
    expanded, base = row_of(document, "BASE_EXPANDED"), row_of(document, "BASE")
    assert expanded["tokensPerThousand"] == {"prompt": 100000, "completion": 20000}
    assert expanded["pricePerThousand"] == pytest.approx(10)
    assert base["tokensPerThousand"] is None
    assert document["breakEven"]["queries"] == 10
    assert document["breakEven"]["oneOff"]["price"] == pytest.approx(0.1)
    _, free = report(tmp_path / "b", told=told | {"price": 0})
    assert free["breakEven"]["queries"] is None
    latency = document["seconds"]["latencyMs"]
    assert latency["BASE_EXPANDED"]["total"] == {"p50": 10.0, "p95": 20.0}
    assert latency["SOFTQE"]["total"]["p50"] == 5.0


def test_equal_inputs_give_equal_bytes_apart_from_seconds_and_hardware(tmp_path):
    documents = [report(tmp_path / name)[1] for name in ("a", "b")]
    for document in documents:
        del document["seconds"], document["hardware"]
    assert json.dumps(documents[0], sort_keys=True) == json.dumps(documents[1], sort_keys=True)


def test_the_pages_hold_every_row_and_run_nothing_whatever_names_hold(tmp_path):
    name = "<script>alert(1)</script> | **x**"
    context, document = report(tmp_path, name=name)
    texts = {file: context.saved[file][1].read_text() for file in ("report.txt", "report.md", "report.html")}
    for text in texts.values():
        for row in document["leaderboard"]:
            assert row["key"].replace("_", "") in text.replace("\\", "").replace("_", "")
    assert "<script" not in texts["report.html"]
    assert "default-src &#x27;none&#x27;" in texts["report.html"]
    assert "<script" not in texts["report.md"]
    assert "\\|" in texts["report.md"]
    assert re.search(r"^SOFTQE - BASE .* BETTER$", texts["report.txt"], re.MULTILINE)


def test_what_a_planted_collection_and_a_small_one_cannot_show_is_said(tmp_path):
    _, document = report(tmp_path)
    assert any("generated so that it can" in sentence for sentence in document["notShown"])
    assert any("less than four times in five" in sentence for sentence in document["notShown"])
    assert document["statistics"]["family"] == FAMILY


def test_rankings_of_another_training_are_refused(tmp_path):
    context, _ = report(tmp_path / "a")
    inputs = dict(context.inputs) | {"rankings:0": context.inputs["rankings:1"]}
    from assay_pods.retrieval.report_inputs import read_experiment

    with pytest.raises(BadInputError) as refused:
        read_experiment(context.spec, inputs)
    assert refused.value.code == "ITEMS_MISMATCH"


def test_a_student_that_is_the_base_encoder_itself_is_called_that(tmp_path):
    _, document = report(tmp_path / "trained")
    chosen = {(one["system"], one["alpha"]): one for one in document["selection"]}
    assert chosen["SOFTQE", 1.0] == {"system": "SOFTQE", "alpha": 1.0, "trainings": 2, "keptBase": 0}
    assert not any("base encoder itself" in sentence for sentence in document["summary"])
    _, kept = report(tmp_path / "kept", result={"selected": {"step": 0}})
    assert any(sentence.startswith("In 2 of 2 trainings of SoftQE no step was better") for sentence in kept["summary"])


def test_what_was_missing_from_the_files_is_reported(tmp_path):
    context, document = report(tmp_path)
    assert document["queries"]["judgedDocumentsMissing"] == 2
    assert "Of the files: 2 judged documents are not there." in document["caveats"]
    assert "2 judged documents are not there" in context.saved["report.txt"][1].read_text()
