"""One report over several families, both artifacts, with and without what the core gate asks for."""

import pytest

from assay_pods.robustness.report import write_report
from tests import planted

MATH, DOCS = "MATH_REASONING", "DOCUMENT_GROUNDED_QA"
FA, DN = "FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"
EFFECTS = {("DPO", 0.9): 6.0, ("DPO", 1.0): 8.0, ("SFT", 0.9): 3.0}
MODEL = planted.model(4.0, lambda method, rate: EFFECTS.get((method, rate), 0.02))


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3, 4, 5, 6)])
def test_every_list_names_its_family_and_each_family_has_its_own_verdicts(tmp_path, seeds):
    planned = planted.spec(seeds=seeds, families=((MATH, FA), (MATH, DN), (DOCS, FA)))
    document = write_report(planted.context(tmp_path, planned, MODEL))
    families = [(one["task"], one["artifact"]) for one in document["families"]]
    assert families == [(DOCS, FA), (MATH, DN), (MATH, FA)]
    for name in ("cells", "base", "coreGate", "controls", "degradation"):
        assert {(one["task"], one["artifact"]) for one in document[name]} == set(families)
        assert all({"variant", "learningRate", "method"} <= one.keys() for one in document[name])
    verdicts = {(one["task"], one["artifact"], one["method"], one["spuriousness"]): one["verdict"] for one in document["cells"]}
    for family in families:
        assert verdicts[*family, "DPO", 0.9] == "MEASURED"
        assert verdicts[*family, "KTO", 0.9] == "NO_DIFFERENCE_SHOWN"
    assert document["summary"][0].startswith("Core learned by every method (3 of 3 families): ")


def test_slices_are_read_against_rate_zero_and_named_as_slices(tmp_path):
    document = write_report(planted.context(tmp_path, planted.spec(families=((MATH, DN),), seeds=(1, 2)), MODEL))
    cell = next(one for one in document["cells"] if (one["method"], one["spuriousness"]) == ("DPO", 0.9))
    assert set(cell["groups"]) == {"inSlice", "outSlice", "unseenSlice", "promptBlind", "balanced"}
    means = {name: cell["groups"][name]["value"] for name in ("inSlice", "outSlice", "unseenSlice")}
    assert cell["gap"]["value"] == pytest.approx(means["inSlice"] - means["outSlice"])
    assert cell["unseenGap"]["value"] == pytest.approx(means["inSlice"] - means["unseenSlice"])
    row = next(one for one in document["degradation"] if one["method"] == "DPO")
    assert (row["metric"], row["verdict"]) == ("out_slice", "LOWER")


def test_the_top_of_the_report_says_which_families_failed_the_gate(tmp_path):
    def margins(method, rate, seed, split, relation, item):
        return MODEL(method, rate, seed, split, relation, item) - (9.0 if method == "SFT" else 0.0)

    document = write_report(planted.context(tmp_path, planted.spec(families=((MATH, FA),)), margins))
    assert "Core learned by every method (0 of 1 families): none." in document["summary"]
    assert (
        "Core learned by some methods only: MATH_REASONING x FEATURE_AMBIGUITY (DPO learned, KTO learned, SFT not learned)."
        in document["summary"]
    )
    lost = planted.model(-4.0, lambda method, rate: 0.0)
    document = write_report(planted.context(tmp_path / "lost", planted.spec(families=((MATH, FA), (DOCS, DN))), lost))
    said = f"Core not learned, robustness undefined: {DOCS} x {DN}, {MATH} x {FA}."
    assert said in document["summary"]
    assert {one["verdict"] for one in document["cells"]} == {"CORE_NOT_LEARNED"}
