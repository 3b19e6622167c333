"""On the planted collection SoftQE rises for other phrasings of seen topics, not for unseen ones, and the shuffled control does not."""

import json

import pytest
from retrieval_steps import STUDENT, Steps

SEEDS = (101, 102, 103)
COLLECTION = {"kind": "PLANTED", "topics": 30, "unseenTopics": 12, "phrasings": 12, "documentsPerTopic": 5, "seed": 7}
SETTINGS = {**STUDENT, "layers": 3, "epochs": 6, "learningRate": 3e-4}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    steps = Steps(tmp_path_factory.mktemp("planted"), COLLECTION, {"kind": "HASH", "dev": 0.15, "test": 0.25}).until_taught()
    planned = [(kind, alpha, seed) for kind, alpha in (("SOFTQE", 1.0), ("SHUFFLED", 1.0)) for seed in SEEDS] + [("CONTRASTIVE", 0.0, 101)]
    cells, inputs = [], {}
    for place, (kind, alpha, seed) in enumerate(planned):
        result, _ = steps.train(kind, seed, **{**SETTINGS, "alpha": alpha})
        path = steps.folder / f"result{place}.json"
        path.write_text(json.dumps(result))
        inputs |= {f"result:{place}": path, f"rankings:{place}": steps.context.saved["rankings.jsonl"][1]}
        cells.append({"input": place, "system": kind, "alpha": alpha, "fold": 0, "seed": seed})
    family = [["SOFTQE", "BASE"], ["SOFTQE", "CONTRASTIVE"], ["SOFTQE", "SHUFFLED"]]
    asked = {"name": "planted", "seeds": list(SEEDS), "cells": cells, "family": family, "practicalThreshold": 0.028, "student": SETTINGS}
    return steps.do("report", None, inputs, **asked)


def test_softqe_rises_for_other_phrasings_of_seen_topics(report):
    tests = {test["against"]: test for test in report["tests"]}
    assert tests["BASE"]["delta"]["low"] > 0
    assert tests["BASE"]["adjustedP"] < 0.01
    softqe = next(row for row in report["leaderboard"] if row["system"] == "SOFTQE")
    assert softqe["groups"]["seen"]["delta"]["low"] > 0.9


def test_softqe_does_not_rise_for_topics_that_it_never_saw(report):
    softqe = next(row for row in report["leaderboard"] if row["system"] == "SOFTQE")
    unseen = softqe["groups"]["unseen"]["delta"]
    assert unseen["low"] <= 0 <= unseen["high"]


def test_a_shuffled_teacher_does_not_rise_above_the_base_and_softqe_does_above_it(report):
    shuffled = next(row for row in report["leaderboard"] if row["system"] == "SHUFFLED")
    assert shuffled["againstBase"]["delta"]["low"] <= 0
    against = next(test for test in report["tests"] if test["against"] == "SHUFFLED")
    assert against["delta"]["low"] > 0
    assert against["adjustedP"] < 0.01
