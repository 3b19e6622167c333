"""The selection of learning rates: by balanced validation accuracy at spuriousness 0, and by nothing else."""

import json

import pytest
from local_context import LocalContext

from assay_pods.common.context import BadInputError
from assay_pods.robustness.run import run
from assay_pods.robustness.validation import balanced_accuracy


def rows_of(aligned, conflicting, split="validation"):
    """One pair a place; 1 is a right answer."""
    return [
        {"itemKey": str(place), "split": split, "relation": relation, "score": score}
        for place, pair in enumerate(zip(aligned, conflicting, strict=True))
        for relation, score in zip(("aligned", "conflicting"), pair, strict=True)
    ]


def sliced(slices):
    return [
        {"itemKey": f"{name}-{place}", "split": "validation", "relation": relation, "slice": name, "score": score}
        for (relation, name), scores in slices.items()
        for place, score in enumerate(scores)
    ]


def selected(tmp_path, candidates):
    """Runs the step over candidates: method, rate, rows (None where the run failed)."""
    inputs, listed = {}, []
    for index, (method, rate, rows) in enumerate(candidates):
        listed.append({"input": index, "method": method, "learningRate": rate})
        if rows is not None:
            for name, text in (("items", "".join(json.dumps(row) + "\n" for row in rows)), ("result", "{}")):
                inputs[f"{name}:{index}"] = tmp_path / f"{name}{index}"
                inputs[f"{name}:{index}"].write_text(text)
    context = LocalContext(tmp_path / "run", {"step": "select", "seed": 101, "candidates": listed}, inputs)
    result = run(context)
    assert context.saved["selection.json"][0] == "SELECTION"
    return json.loads(context.saved["selection.json"][1].read_text()), result


def test_the_smallest_rate_within_one_standard_error_of_the_best_is_chosen(tmp_path):
    poor = rows_of([1] * 10, [0] * 10)
    good = rows_of([1] * 10, [1] * 7 + [0] * 3)
    best = rows_of([1] * 10, [1] * 8 + [0] * 2)
    document, _ = selected(
        tmp_path, [("DPO", 1e-5, poor), ("DPO", 1e-4, good), ("DPO", 1e-3, best), ("SFT", 1e-3, good), ("SFT", 1e-5, poor)]
    )
    error = 0.5 * (0.2 * 0.8 / 9) ** 0.5
    assert [row["balanced"] for row in document["candidates"]] == [0.5, 0.85, 0.9, 0.85, 0.5]
    assert document["candidates"][2]["standardError"] == pytest.approx(error)
    assert document["learningRate"] == {"DPO": 1e-4, "SFT": 1e-3}
    assert "smallest" in document["rule"]


def test_a_higher_accuracy_on_test_items_or_on_one_group_alone_moves_nothing(tmp_path):
    shortcut = rows_of([1] * 10, [0] * 10) + rows_of([1] * 10, [1] * 10, split="test")
    fair = rows_of([1] * 7 + [0] * 3, [1] * 7 + [0] * 3)
    document, _ = selected(tmp_path, [("KTO", 1e-5, shortcut), ("KTO", 1e-3, fair)])
    assert document["learningRate"] == {"KTO": 1e-3}


def test_equal_slices_weigh_equally_and_the_unseen_one_nothing():
    found = balanced_accuracy(
        sliced({("in_slice", "add-1d"): [1, 1, 1, 1], ("out_slice", "sub-1d"): [0, 1], ("unseen_slice", "add-3"): [0] * 9})
    )
    assert found.value == 0.75
    assert found.groups == {"add-1d": 1.0, "sub-1d": 0.5}
    assert found.standard_error == pytest.approx((0.5 / 2) ** 0.5 / 2)


def test_a_rate_whose_run_failed_is_passed_over_and_said(tmp_path):
    document, result = selected(tmp_path, [("SFT", 1e-4, rows_of([1, 1], [0, 1])), ("SFT", 1e-2, None)])
    assert document["learningRate"] == {"SFT": 1e-4}
    assert document["candidates"][1]["balanced"] is None
    assert result["warnings"] == ["SFT at 0.01 gave no whole result and was not considered"]


def test_a_method_without_any_result_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="wanted a result at one learning rate of SFT at least") as refused:
        selected(tmp_path, [("SFT", 1e-4, None)])
    assert refused.value.code == "SELECTION_EMPTY"
