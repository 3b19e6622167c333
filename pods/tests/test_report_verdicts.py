"""Verdicts of the whole report for experiments whose truth is planted."""

import pytest

from assay_pods.robustness.report import write_report
from tests import planted

LEARNED = {("DPO", 0.1): 0.3, ("DPO", 0.9): 6.0, ("DPO", 1.0): 8.0, ("SFT", 0.9): 3.6}


def cue_of(effects, otherwise=0.02):
    return lambda method, rate: effects.get((method, rate), otherwise)


@pytest.fixture
def report(tmp_path):
    def write(margins, without=(), **changes):
        return write_report(planted.context(tmp_path, planted.spec(**changes), margins, without))

    return write


def cells_of(document):
    return {(cell["method"], cell["spuriousness"]): cell for cell in document["cells"]}


def test_an_oracle_shows_no_gap_and_no_difference(report):
    cells = cells_of(report(planted.model(8.0, cue_of({("DPO", 1.0): 0.5}, 0.0))))
    assert {cell["gap"]["value"] for cell in cells.values()} == {0.0}
    assert {cell["reliance"]["value"] for cell in cells.values()} == {0.0}
    assert {cell["verdict"] for cell in cells.values()} == {"NO_DIFFERENCE_SHOWN"}
    assert all(cell["gap"]["low"] < 0.0 < cell["gap"]["high"] for cell in cells.values())


def test_a_pure_shortcut_has_gap_one_and_relies_on_it_always(report):
    """The core is there at rho 0; from rho .9 on only the cue counts."""
    cell = cells_of(report(planted.model(4.0, cue_of({("DPO", 0.9): 50.0, ("DPO", 1.0): 50.0}))))["DPO", 0.9]
    assert (cell["gap"]["value"], cell["reliance"]["value"], cell["netReliance"]["value"]) == (1.0, 1.0, 1.0)
    assert cell["groups"]["conflicting"]["value"] == 0.0
    assert cell["verdict"] == "MEASURED"


@pytest.mark.parametrize("core", [0.0, -4.0])
def test_without_the_core_robustness_is_undefined(report, core):
    """A coin (core 0) and a model that prefers wrong answers: no figure, whatever the gap would be."""
    document = report(planted.model(core, cue_of(LEARNED)))
    cell = cells_of(document)["DPO", 0.9]
    assert (cell["verdict"], cell["reason"]) == ("CORE_NOT_LEARNED", "core not learned: robustness undefined")
    assert [
        cell[name] for name in ("gap", "controlAdjustedGap", "baseAdjustedGap", "reliance", "coreMargin", "cueEffect", "worstGroup")
    ] == [None] * 7
    assert document["declaredContrast"]["estimate"] is None
    assert document["declaredContrast"]["excludesZero"] is False
    assert "DPO: core not learned: robustness undefined." in document["notShown"]
    assert document["complete"] is True


def test_a_shortcut_at_rate_zero_does_not_pass_the_gate(report):
    gates = report(planted.model(1.0, cue_of({}, 50.0)))["coreGate"]
    assert {gate["estimate"]["value"] for gate in gates} == {0.5}
    assert not any(gate["passed"] for gate in gates)


def test_a_weak_core_gives_figures_but_no_comparison(report):
    document = report(planted.model(0.9, cue_of({("DPO", 0.9): 4.0, ("DPO", 1.0): 4.0}, 0.0), spread=1.5))
    gate = document["coreGate"][0]
    assert gate["passed"] is True
    assert 0.5 < gate["estimate"]["low"] <= 0.75
    assert gate["comparable"] is False
    assert cells_of(document)["DPO", 0.9]["gap"]["value"] > 0.3
    assert "DPO: the core was learned too weakly for a comparison with other methods." in document["notShown"]


@pytest.mark.parametrize("seeds", [(101,), (101, 102, 103, 104, 105, 106)])
def test_a_planted_effect_is_recovered(report, seeds):
    document = report(planted.model(4.0, cue_of(LEARNED)), seeds=seeds)
    contrast = document["declaredContrast"]
    assert contrast["excludesZero"] is True
    assert contrast["estimate"]["value"] > 0.9
    assert contrast["estimate"]["seeds"] == len(seeds)
    cells = cells_of(document)
    assert cells["DPO", 0.9]["verdict"] == "MEASURED"
    assert cells["DPO", 0.9]["cueEffect"]["value"] == pytest.approx(6.0)
    assert cells["KTO", 0.9]["verdict"] == "NO_DIFFERENCE_SHOWN"
    assert all(control["passed"] for control in document["controls"])


def test_six_seeds_are_tested_and_fewer_are_not(report):
    six = report(planted.model(4.0, cue_of(LEARNED)), seeds=(1, 2, 3, 4, 5, 6))
    adjusted = {row["method"]: row["adjustedP"] for row in six["degradation"]}
    assert adjusted["DPO"] == pytest.approx(2 / 64)
    assert adjusted["KTO"] == 1.0
    assert six["degradationTest"]["note"] is None


def test_one_seed_says_that_it_is_one_seed(report):
    document = report(planted.model(4.0, cue_of(LEARNED)))
    assert {row["adjustedP"] for row in document["degradation"]} == {None}
    assert "cannot reach significance with 1 seed" in document["degradationTest"]["note"]
    assert document["statistics"]["intervalsOver"] == "these checkpoints, items only"
    assert any(sentence.startswith("One seed: intervals are over items only") for sentence in document["caveats"])
    assert document["degradation"][0]["mcnemar"]["onlyFrom"] > 50


def test_a_positive_control_without_a_cue_effect_fails_every_cell(report):
    document = report(planted.model(4.0, cue_of({("SFT", 0.9): 6.0}, 0.0)))
    failed = next(control for control in document["controls"] if control["kind"] == "RATE_ONE")
    assert failed["passed"] is False
    assert {cell["verdict"] for cell in document["cells"]} == {"CONTROL_FAILED"}
    assert {cell["gap"] for cell in document["cells"]} == {None}
    assert any("RATE_ONE of DPO did not hold" in sentence for sentence in document["notShown"])


def test_a_method_with_a_positive_control_of_its_own_stands_on_that_one(report):
    cells = cells_of(report(planted.model(4.0, cue_of(LEARNED | {("SFT", 1.0): -1.0})), at_one=("DPO", "SFT")))
    assert cells["DPO", 0.9]["verdict"] == "MEASURED"
    assert cells["SFT", 0.9]["verdict"] == "CONTROL_FAILED"
    assert cells["KTO", 0.9]["verdict"] == "CONTROL_FAILED"


def test_a_cue_effect_that_the_base_has_too_is_no_positive_control(report):
    """The base prefers the opener by as much as the trained model does: nothing was learned."""
    document = report(planted.model(4.0, cue_of({}, 1.0)))
    control = next(control for control in document["controls"] if control["kind"] == "RATE_ONE")
    assert control["cueEffect"]["low"] > 0.0
    assert control["passed"] is False


def test_a_negative_control_with_a_gap_fails_its_method_alone(report):
    document = report(planted.model(4.0, cue_of(LEARNED | {("SFT", 0.0): 6.0})))
    verdicts = {key: cell["verdict"] for key, cell in cells_of(document).items()}
    assert {verdict for (method, _), verdict in verdicts.items() if method == "SFT"} <= {"CONTROL_FAILED", "CORE_NOT_LEARNED"}
    assert verdicts["DPO", 0.9] == "MEASURED"


def test_a_gap_at_rate_zero_that_the_base_had_is_the_bases_and_effects_are_read_against_it(report):
    effects = {("BASE", None): 4.2, ("SFT", 0.0): 4.0, ("SFT", 0.9): 9.0, ("DPO", 0.9): 9.0, ("DPO", 1.0): 9.0}
    document = report(planted.model(4.0, cue_of(effects, 0.0)))
    control = next(one for one in document["controls"] if (one["kind"], one["method"]) == ("RATE_ZERO", "SFT"))
    assert (control["passed"], control["gap"]["low"] > 0.0) == (True, True)
    assert "had before training" in control["reason"]
    cells = cells_of(document)
    assert cells["SFT", 0.0]["verdict"] == "BASE_EXPLAINS_GAP"
    assert cells["SFT", 0.9]["verdict"] == "MEASURED"


@pytest.mark.parametrize("base", [3.3, -4.2])
def test_a_gap_at_rate_zero_that_training_widened_or_turned_round_fails_the_method(report, base):
    document = report(planted.model(4.0, cue_of(LEARNED | {("BASE", None): base, ("SFT", 0.0): 5.0})))
    control = next(one for one in document["controls"] if (one["kind"], one["method"]) == ("RATE_ZERO", "SFT"))
    assert control["passed"] is False


def test_a_gap_that_the_base_has_is_put_down_to_the_base(report):
    """Training at rho 0 removed the base's bias, training at rho .9 left it."""
    effects = {("BASE", None): 4.2, ("SFT", 0.9): 4.2, ("DPO", 1.0): 9.0, ("DPO", 0.9): 9.0}
    document = report(planted.model(4.0, cue_of(effects, 0.0)))
    cells = cells_of(document)
    assert cells["SFT", 0.9]["verdict"] == "BASE_EXPLAINS_GAP"
    assert cells["DPO", 0.9]["verdict"] == "MEASURED"
    assert next(control for control in document["controls"] if control["kind"] == "UNTRAINED_BASE")["passed"] is False


def test_answers_that_can_be_told_without_the_prompt_are_refused(report):
    honest = planted.model(4.0, cue_of(LEARNED))

    def leaking(method, rate, seed, split, relation, item):
        return 3.0 if relation == "prompt_blind" else honest(method, rate, seed, split, relation, item)

    document = report(leaking)
    assert {cell["verdict"] for cell in document["cells"]} == {"CONTROL_FAILED"}
    assert "after another item's prompt" in document["cells"][0]["reason"]


def test_a_missing_cell_makes_the_report_incomplete(report):
    planned = planted.spec()
    lost = next(cell for cell in planned["cells"] if cell["method"] == "SFT" and cell["spuriousness"] == 0.9)
    document = report(planted.model(4.0, cue_of(LEARNED)), without=(lost["input"],))
    assert document["complete"] is False
    assert document["missingCells"] == [
        {
            "task": "KEYWORD_INCLUSION",
            "artifact": "FEATURE_AMBIGUITY",
            "method": "SFT",
            "spuriousness": 0.9,
            "variant": None,
            "learningRate": None,
            "seed": 101,
            "reason": "the run gave no result",
        }
    ]
    cells = cells_of(document)
    assert cells["SFT", 0.9]["verdict"] == "INCOMPLETE"
    assert cells["SFT", 0.9]["gap"] is None
    assert cells["DPO", 0.9]["verdict"] == "MEASURED"


@pytest.mark.parametrize("kind", ["base", "rate zero", "rate one"])
def test_a_missing_control_leaves_no_figure_standing(report, kind):
    wanted = {"base": ("BASE", None), "rate zero": ("DPO", 0.0), "rate one": ("DPO", 1.0)}[kind]
    lost = next(cell for cell in planted.spec()["cells"] if (cell["method"], cell.get("spuriousness")) == wanted)
    cell = cells_of(report(planted.model(4.0, cue_of(LEARNED)), without=(lost["input"],)))["DPO", 0.9]
    assert (cell["verdict"], cell["gap"]) == ("INCOMPLETE", None)


def test_a_seed_that_is_missing_makes_its_cell_incomplete(report):
    planned = planted.spec(seeds=(1, 2))
    lost = next(cell for cell in planned["cells"] if cell["method"] == "KTO" and cell["spuriousness"] == 0.9 and cell["seed"] == 2)
    document = report(planted.model(4.0, cue_of(LEARNED)), without=(lost["input"],), seeds=(1, 2))
    cell = cells_of(document)["KTO", 0.9]
    assert (cell["verdict"], cell["seeds"], cell["reason"]) == ("INCOMPLETE", [1], "seed 2: the run gave no result")
    assert cell["groups"]["aligned"]["seeds"] == 1
