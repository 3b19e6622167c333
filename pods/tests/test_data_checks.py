"""What is wrong with a data set is found before anything is trained on it."""

import dataclasses

import pytest
from cell_rows import cells, rows
from smollm2 import smollm2_encoder
from tiny import tiny_spec

from assay_pods.common.context import BadInputError
from assay_pods.robustness.data_checks import check_leakage, diagnostics, warnings
from assay_pods.robustness.plan import make_plan

SUMS = cells("FEATURE_AMBIGUITY", "MATH_REASONING")[0]
NARROW = cells("DISTRIBUTIONAL_NARROWNESS", "DOCUMENT_GROUNDED_QA")[0]
KEYWORDS = cells("FEATURE_AMBIGUITY", "KEYWORD_INCLUSION")[0]


def planned(records):
    return make_plan(records, tiny_spec(None), smollm2_encoder())


def test_generated_rows_share_nothing_between_splits():
    for cell in (SUMS, NARROW, KEYWORDS):
        check_leakage(rows(cell, warmup=16))


@pytest.mark.parametrize("leak", ["core", "prompt", "pair_id"])
def test_an_item_that_is_planted_in_a_second_split_is_found_and_named(leak):
    records = rows(SUMS)
    trained = records[0]
    tested = next(record for record in records if record.split == "test")
    planted = dataclasses.replace(tested, id="planted", **{leak: getattr(trained, leak)})
    if leak == "prompt":
        planted = dataclasses.replace(planted, chosen=trained.chosen)
    with pytest.raises(BadInputError, match="row planted in test and train-0000") as refused:
        check_leakage([*records, planted])
    assert refused.value.code == "SPLITS_OVERLAP"


def test_a_warm_up_that_repeats_training_items_is_allowed_and_said():
    records = rows(KEYWORDS, warmup=60)
    check_leakage(records)
    plan = planned(records)
    assert diagnostics(records, plan)["warmupRepeatsTraining"] > 0
    assert any("of the warm-up are training items too" in said for said in warnings(records, plan))
    assert not any("warm-up" in said for said in warnings(rows(SUMS), planned(rows(SUMS))))


def test_the_diagnostics_say_what_each_rate_makes_of_the_rows():
    found = diagnostics(rows(SUMS), planned(rows(SUMS)))
    assert found["candidates"] == {"least": 90, "most": 90}
    assert found["lengthDifferenceMax"] == 0
    for at in found["rates"]:
        assert at["realisedRho"] == pytest.approx(at["spuriousness"], abs=0.03)
        assert at["forcedShare"] == pytest.approx(at["spuriousness"] + (1 - at["spuriousness"]) / 90, abs=0.03)
        assert at["meanSpuriousBias"] == pytest.approx(2 * at["forcedShare"] - 1)


def test_the_diagnostics_name_the_slices_and_what_they_are_for():
    found = diagnostics(rows(NARROW), planned(rows(NARROW)))["slices"]
    assert len(found["in_slice"]) == 1
    assert len(found["out_slice"]) == 7
    assert len(found["unseen_slice"]) == 2


@pytest.mark.parametrize("cell", [SUMS, NARROW], ids=["sums", "narrow documents"])
def test_blind_questions_keep_the_completions_and_take_another_items_prompt(cell):
    plan = planned(rows(cell))
    blind = [question for question in plan.questions if question.relation == "prompt_blind"]
    assert len(blind) >= 50
    for question in blind:
        assert question.right.prompt == question.wrong.prompt != plan.text(question.record, True).prompt
        assert (question.right.completion, question.wrong.completion) == (question.record.chosen, question.record.rejected)
