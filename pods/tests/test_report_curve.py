"""Curves over a training: what the runs of WHOLE_GRID tell at each quarter stands in the report and on its page."""

import json

import pytest

from assay_pods.robustness.report import write_report
from tests import planted

FA, DN = "FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"
RATES = {"learning_rates": (1e-5, 1e-4), "methods": ("DPO",), "seeds": (1, 2)}
MODEL = planted.model(4.0, lambda method, rate: {0.9: 6.0, 1.0: 8.0}.get(rate, 0.02))
CUED = [{"aligned": 0.5, "conflicting": 0.5}, {"aligned": 0.8, "conflicting": 0.6}]
SLICED = [{"s1": 0.9, "s2": 0.5, "s3": 0.7}, {"s1": 1.0, "s2": 0.4, "s3": 0.6}]


def written(tmp_path, artifact, accuracy, diagnostics, **changes):
    """A report whose trainings at rho .9 have told this accuracy, quarter by quarter, and whose data are so described."""
    planned = planted.spec(families=(("MATH_REASONING", artifact),), **(RATES | changes))
    context = planted.context(tmp_path, planned, MODEL)
    for cell in planned["cells"]:
        path = context.inputs[f"result:{cell['input']}"]
        result = json.loads(path.read_text())
        if cell.get("spuriousness") == 0.9:
            result["curve"] = [
                {"quarter": number, "step": 6 * number, "balanced": 0.5, "standardError": 0.1, "accuracy": one}
                for number, one in enumerate(accuracy, start=1)
            ]
        path.write_text(json.dumps(result))
    for one in planned["prepared"]:
        path = context.inputs[f"prepared:{one['input']}"]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"diagnostics": diagnostics}))
    document = write_report(context)
    curves = {(cell["learningRate"], cell["spuriousness"]): cell["curve"] for cell in document["cells"]}
    return curves, context.saved["report.html"][1].read_text()


@pytest.mark.parametrize(("candidates", "share"), [(2, 0.95), (90, 0.9 + 0.1 / 90)])
def test_accuracy_in_distribution_mixes_the_groups_as_training_did(tmp_path, candidates, share):
    curves, _ = written(tmp_path, FA, CUED, {"candidates": {"least": candidates, "most": candidates}})
    assert len(curves[1e-4, 0.9]) == 2
    for seed in curves[1e-4, 0.9]:
        assert [point["inDistribution"] for point in seed] == pytest.approx([0.5, share * 0.8 + (1 - share) * 0.6])
        assert [point["conflicting"] for point in seed] == [0.5, 0.6]
    assert curves[1e-4, 0.1] == []


def test_where_items_differ_in_their_candidates_the_share_is_that_of_rate_zero(tmp_path):
    told = {"candidates": {"least": 2, "most": 4}, "rates": [{"spuriousness": 0.0, "forcedShare": 0.3}]}
    curves, _ = written(tmp_path, FA, CUED, told)
    assert curves[1e-5, 0.9][0][1]["inDistribution"] == pytest.approx(0.93 * 0.8 + 0.07 * 0.6)


def test_slices_are_mixed_by_what_they_are_for(tmp_path):
    slices = {"in_slice": ["s1"], "out_slice": ["s2", "s3"], "unseen_slice": ["s4"]}
    curves, page = written(tmp_path, DN, SLICED, {"candidates": {"least": 3, "most": 3}, "slices": slices})
    share = 0.9 + 0.1 / 3
    (first, _) = curves[1e-5, 0.9]
    assert [point["outSlice"] for point in first] == pytest.approx([0.6, 0.5])
    assert [point["inDistribution"] for point in first] == pytest.approx([share * 0.9 + (1 - share) * 0.6, share + (1 - share) * 0.5])
    assert "While training: out-of-slice accuracy against in-distribution accuracy" in page


def test_the_page_plots_every_quarter_of_the_curves(tmp_path):
    _, page = written(tmp_path, FA, CUED, {"candidates": {"least": 2, "most": 2}})
    plot = page.split("While training: conflicting accuracy against in-distribution accuracy</figcaption>")[1].split("</figure>")[0]
    for learning in ("1e-05", "0.0001"):
        assert f"<title>DPO lr {learning} 0.9 at 0.5: 0.500</title>" in plot
        assert f"<title>DPO lr {learning} 0.9 at 0.79: 0.600</title>" in plot
    assert plot.count("<circle") == 4


@pytest.mark.parametrize("changes", [{"rateMode": "PREVALENCE"}, {}])
def test_without_what_the_mixture_needs_nothing_is_plotted(tmp_path, changes):
    """PREVALENCE has training rows without a cue, which a curve has not; and m may not have been said."""
    told = {"candidates": {"least": 2, "most": 2}} if changes else {}
    curves, page = written(tmp_path, FA, CUED, told, **changes)
    assert [point["inDistribution"] for point in curves[1e-4, 0.9][0]] == [None, None]
    assert "While training" not in page
