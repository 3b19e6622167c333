"""Methods against each other and the three claims of the paper: each answer where it is planted, with its reason."""

import pytest

from assay_pods.robustness.report import write_report
from tests import planted

FA = "FEATURE_AMBIGUITY"
MATH, RULES, DOCS = "MATH_REASONING", "CONSTRAINED_INSTRUCTION_FOLLOWING", "DOCUMENT_GROUNDED_QA"
SIX = (1, 2, 3, 4, 5, 6)
SLOW, FAST = 1e-5, 1e-4
PAIR = {"methods": ("DPO", "SFT"), "rates": (0.0, 0.1, 0.9), "seeds": SIX, "learning_rates": (SLOW, FAST)}


@pytest.fixture
def report(tmp_path):
    """A report of cells whose cue at rho .9 is told by method, learning rate and task; the core is 4 nats unless said."""

    def write(cue_of, core_of=lambda cell: 4.0, **changes):
        def margins_of(cell):
            rate = cell.get("spuriousness")
            cue = 8.0 if rate == 1.0 else cue_of(cell) if rate == 0.9 else 0.02
            return planted.model(core_of(cell), lambda *_: cue)

        document = write_report(planted.context_of(tmp_path, planted.spec(**changes), margins_of))
        return document, [(one["answer"], one["reason"]) for one in document["claims"]]

    return write


def by_method(**cues):
    """The cue of a method, one for all learning rates or one for each."""

    def cue_of(cell):
        cue = cues[cell["method"]]
        return cue[cell["learningRate"]] if isinstance(cue, dict) else cue

    return cue_of


def pair(document):
    (row,) = document["methodByRate"]
    assert (row["method"], row["against"]) == ("DPO", "SFT")
    return row


@pytest.mark.parametrize(("dpo", "sft", "verdict", "better"), [(0.02, 6.0, "BETTER", "DPO"), (6.0, 0.02, "WORSE", "SFT")])
def test_the_method_that_loses_less_at_every_pair_of_learning_rates_is_named(report, dpo, sft, verdict, better):
    document, _ = report(by_method(DPO=dpo, SFT=sft), families=((MATH, FA),), **PAIR)
    row = pair(document)
    assert (row["verdict"], row["reason"]) == (
        verdict,
        f"{better} loses less at every one of 4 pairs of learning rates whose core gates pass",
    )
    assert row["adjustedP"] == pytest.approx(2 / 64)
    assert [point["learningRates"] for point in row["points"]] == [[one, other] for one in (SLOW, FAST) for other in (SLOW, FAST)]


def test_a_sign_that_turns_with_the_learning_rate_is_no_conclusion(report):
    document, claims = report(by_method(DPO={SLOW: 0.02, FAST: 8.0}, SFT=4.0), families=((MATH, FA),), **PAIR)
    assert (pair(document)["verdict"], pair(document)["reason"]) == ("INCONCLUSIVE", "depends on the learning rate")
    assert claims[1] == ("NOT_SUPPORTED", f"DPO x {FA}: depends on the learning rate")


def test_a_difference_of_some_seeds_only_is_a_tie(report):
    def cue_of(cell):
        return 6.0 if (cell["method"] == "SFT") == (cell["seed"] % 3 > 0) else 0.02

    row = pair(report(cue_of, families=((MATH, FA),), **PAIR)[0])
    assert row["adjustedP"] > 0.05
    assert (row["verdict"], row["reason"][:5]) == ("INCONCLUSIVE", "a tie")


def test_methods_are_not_compared_over_one_learning_rate(report):
    document, claims = report(by_method(DPO=0.02, SFT=6.0), families=((MATH, FA),), **(PAIR | {"learning_rates": (SLOW,)}))
    assert (pair(document)["verdict"], pair(document)["reason"]) == ("NO_COMPARISON", "no comparison: one learning rate")
    assert claims[1] == ("NOT_MEASURABLE", f"DPO x {FA}: no comparison: one learning rate")


@pytest.mark.parametrize(
    ("core", "verdict", "reason"),
    [
        (0.9, "NO_COMPARISON", "no comparison: the core was not learned firmly enough by both"),
        (-4.0, "NOT_MEASURABLE", "not measurable: CORE_NOT_LEARNED: core not learned: robustness undefined"),
    ],
)
def test_methods_are_not_compared_where_one_has_no_firm_core(report, core, verdict, reason):
    def core_of(cell):
        return core if cell["method"] == "SFT" else 4.0

    document, claims = report(by_method(DPO=0.02, SFT=6.0), core_of, families=((MATH, FA),), **PAIR)
    assert (pair(document)["verdict"], pair(document)["reason"]) == (verdict, reason)
    assert claims[1] == ("NOT_MEASURABLE", f"DPO x {FA}: {reason}")


NINE = {"families": ((MATH, FA), (RULES, FA), (DOCS, FA)), "practicalThreshold": 0.15}


@pytest.mark.parametrize(
    ("cues", "answer", "degraded", "kept"),
    [
        ({"SFT": 6.0, "DPO": 0.02, "KTO": 0.02}, "SUPPORTED", f"SFT on {RULES} x {FA}, ", f"DPO on {RULES} x {FA}, "),
        ({"SFT": 6.0, "DPO": 6.0, "KTO": 6.0}, "NOT_SUPPORTED", f"DPO on {RULES} x {FA}, ", "none shown"),
        ({"SFT": 0.02, "DPO": 0.02, "KTO": 0.02}, "NOT_SUPPORTED", "none shown; ", f"DPO on {RULES} x {FA}, "),
    ],
)
def test_often_but_not_always_needs_both_what_degraded_and_what_did_not(report, cues, answer, degraded, kept):
    found, reason = report(by_method(**cues), seeds=SIX, **NINE)[1][0]
    assert found == answer
    assert reason.startswith(f"degraded: {degraded}")
    assert f"within 0.15: {kept}" in reason


def test_often_but_not_always_is_not_measurable_with_few_seeds_or_few_cells(report):
    cues = by_method(SFT=6.0, DPO=0.02, KTO=0.02)
    assert report(cues, seeds=(1, 2), **NINE)[1][0] == ("NOT_MEASURABLE", "2 seeds cannot reach significance, 6 can")
    unlearned = report(cues, lambda cell: -4.0 if (cell["method"], cell["task"]) == ("KTO", DOCS) else 4.0, **NINE)[1][0]
    assert unlearned == ("NOT_MEASURABLE", "8 cells passed core gate and controls, and 9 are needed")


def test_preference_methods_that_keep_more_in_maths_support_the_claim_and_only_there(report):
    answer = report(by_method(DPO=0.02, SFT=6.0), families=((MATH, FA),), **PAIR)[1]
    assert answer[1] == ("SUPPORTED", f"SFT loses more than DPO x {FA}")
    assert answer[2] == ("NOT_MEASURABLE", "no DOCUMENT_GROUNDED_QA was planned")
    assert answer[0] == ("NOT_MEASURABLE", "4 cells passed core gate and controls, and 9 are needed")


def test_preference_methods_that_lose_more_in_maths_do_not_support_the_claim(report):
    answer = report(by_method(DPO=6.0, SFT=0.02), families=((MATH, FA),), **PAIR)[1][1]
    assert answer == ("NOT_SUPPORTED", f"DPO x {FA}: SFT loses less at every one of 4 pairs of learning rates whose core gates pass")


def test_the_claim_on_maths_needs_maths_with_sft(report):
    without = report(by_method(DPO=6.0, KTO=6.0), families=((MATH, FA),), methods=("DPO", "KTO"))[1][1]
    assert without == ("NOT_MEASURABLE", "no maths with SFT and a preference method was planned")


LONG = PAIR | {"families": ((DOCS, FA),), "data": {"kind": "GENERATED", "core": "FULL"}}


def test_sft_that_keeps_more_of_long_documents_supports_the_claim(report):
    assert report(by_method(DPO=6.0, SFT=0.02), **LONG)[1][2] == ("SUPPORTED", f"SFT keeps more than DPO x {FA}")


@pytest.mark.parametrize(("dpo", "sft"), [(0.02, 6.0), ({SLOW: 0.02, FAST: 8.0}, 4.0)])
def test_sft_that_keeps_less_or_only_at_some_learning_rates_does_not_support_it(report, dpo, sft):
    assert report(by_method(DPO=dpo, SFT=sft), **LONG)[1][2] == ("NOT_SUPPORTED", "no such difference shown at this size")


@pytest.mark.parametrize(
    ("changes", "core", "reason"),
    [
        ({"data": {"kind": "GENERATED", "core": "LAPTOP"}}, 4.0, "documents of the laptop core have two sentences"),
        ({"learning_rates": (SLOW,)}, 4.0, f"DPO x {FA}: one learning rate"),
        ({}, -4.0, f"DPO x {FA}: the core gate fails or a cell is missing"),
        ({"seeds": (1, 2)}, 4.0, "2 seeds cannot reach significance, 6 can"),
    ],
)
def test_the_claim_on_documents_is_not_measurable_without_what_it_needs(report, changes, core, reason):
    assert report(by_method(DPO=6.0, SFT=0.02), lambda cell: core, **(LONG | changes))[1][2] == ("NOT_MEASURABLE", reason)


def test_with_several_learning_rates_the_report_says_so_and_at_which_one_a_contrast_is_read(report):
    cues = by_method(DPO={SLOW: 0.02, FAST: 6.0}, SFT=0.02)
    plan = PAIR | {"families": ((MATH, FA),), "seeds": (1,)}
    contrast = {"task": MATH, "artifact": FA, "scope": "CHECKPOINT", "method": "DPO", "from": 0.1, "to": 0.9}
    document, _ = report(cues, contrast=contrast, **plan)
    declared, said = document["declaredContrast"], " ".join(document["caveats"])
    assert (declared["learningRate"], declared["learningRateRule"], declared["excludesZero"]) == (SLOW, "SMALLEST", False)
    assert "named no learning rate; it is read at the smallest of the grid, 1e-05." in said
    assert "by TOP_BLOCKS at several learning rates" in said
    assert "one learning rate" not in said
    document, _ = report(cues, contrast=contrast | {"learningRate": FAST}, **plan)
    declared = document["declaredContrast"]
    assert (declared["learningRate"], declared["learningRateRule"], declared["excludesZero"]) == (FAST, "NAMED", True)
    assert "named no learning rate" not in " ".join(document["caveats"])
    declared = report(cues, contrast=contrast | {"learningRate": 0.5}, **plan)[0]["declaredContrast"]
    assert (declared["estimate"], declared["reason"]) == (None, "the method was not planned at this learning rate")
