"""Scoring with planted scorers: what is found must be what was planted."""

import hashlib
import re

import pytest
from tiny import tiny_case

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells.keyword_inclusion import openers
from assay_pods.robustness.generation import generate_and_check, summary
from assay_pods.robustness.plan import PROMPT_BLIND_ITEMS
from assay_pods.robustness.score import score_items, write_items

SIZE = {"trainPairs": 16, "validationPairs": 40, "testPairs": 60, "generationItems": 4}


def accuracy(items, relation: str, split: str = "test") -> float:
    scores = [item["score"] for item in items if (item["relation"], item["split"]) == (relation, split)]
    return sum(scores) / len(scores)


def oracle(texts):
    """Knows the word that the prompt asks for, and nothing else."""
    return [1.0 if re.search(r"word (\w+)\.", text.prompt)[1] in text.completion.rstrip(".").split() else 0.0 for text in texts]


def shortcut(cue: str):
    """Follows the cue, and nothing else."""
    return lambda texts: [1.0 if text.completion.startswith(cue) else 0.0 for text in texts]


def coin(texts):
    return [hashlib.sha256("|".join(text).encode()).digest()[0] / 255 for text in texts]


@pytest.fixture(scope="module")
def case():
    return tiny_case(size=SIZE)


def test_an_oracle_has_no_gap(case):
    items = score_items(case.plan.questions, case.plan, oracle)
    for relation in ("aligned", "conflicting", "neutral", "cue_on_both", "other_cue_on_both"):
        assert accuracy(items, relation) == 1
    assert accuracy(items, "aligned", "validation") == accuracy(items, "conflicting", "validation") == 1


def test_a_pure_shortcut_scorer_has_the_whole_gap(case):
    cue, *_ = openers(case.spec["seed"], case.plan.encoder.count)
    items = score_items(case.plan.questions, case.plan, shortcut(cue))
    assert accuracy(items, "aligned") - accuracy(items, "conflicting") == 1
    for relation in ("neutral", "cue_on_both", "other_cue_on_both", "prompt_blind"):
        assert accuracy(items, relation) == 0.5, "without a difference in the cue there is nothing to choose by"


def test_a_coin_has_no_gap_and_half_of_the_answers(case):
    items = score_items(case.plan.questions, case.plan, coin)
    for relation in ("aligned", "conflicting", "neutral"):
        assert accuracy(items, relation) == pytest.approx(0.5, abs=0.25)


def test_a_scorer_that_never_reads_the_prompt_is_at_chance_when_blind(case):
    """An oracle for the prompt it is shown finds neither completion after another item's prompt."""
    items = score_items(case.plan.questions, case.plan, oracle)
    blind = [item for item in items if item["relation"] == "prompt_blind"]
    assert len(blind) == min(60, PROMPT_BLIND_ITEMS)
    assert 0 <= accuracy(items, "prompt_blind") <= 0.6


def test_every_row_has_the_fields_of_the_contract_in_a_fixed_order(case, tmp_path):
    items = score_items(case.plan.questions, case.plan, coin)
    keys = [(item["split"], item["itemKey"], item["relation"]) for item in items]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) == 60 * 7 + 40 * 3 + min(60, PROMPT_BLIND_ITEMS)
    for item in items:
        assert item["margin"] == item["logprobChosen"] - item["logprobRejected"]
        assert item["score"] == (1 if item["margin"] > 0 else 0.5 if item["margin"] == 0 else 0)
        assert item["tokensChosen"] == item["tokensRejected"] > 0
    write_items(tmp_path / "a", items)
    write_items(tmp_path / "b", score_items(case.plan.questions, case.plan, coin))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_that_gives_no_numbers_is_not_scored(case):
    with pytest.raises(BadInputError, match="wanted finite log-probabilities") as refused:
        score_items(case.plan.questions, case.plan, lambda texts: [float("nan")] * len(texts))
    assert refused.value.code == "TRAINING_DIVERGED"


def test_no_tested_prompt_was_trained(case):
    trained = {text.prompt for text in case.plan.trained_texts}
    assert not trained & {question.right.prompt for question in case.plan.questions}


def test_generation_counts_the_texts_that_pass_the_checker(case):
    prompts: list[str] = []

    def write(some, num_tokens):
        prompts.extend(some)
        words = [re.search(r"word (\w+)\.", prompt)[1] for prompt in some]
        assert num_tokens > 0
        return [f"I saw a {word.upper()}!" if place else "Nothing." for place, word in enumerate(words)]

    found = summary(generate_and_check(case.records, case.plan, case.spec, write))
    assert found == {"items": 4, "passed": 3, "relation": "neutral", "byRelation": {"neutral": {"items": 4, "passed": 3}}}
    assert len(set(prompts)) == 4
    none = case.spec | {"size": case.spec["size"] | {"generationItems": 0}}
    assert summary(generate_and_check(case.records, case.plan, none, write)) is None


@pytest.mark.parametrize(("rate", "splits"), [(None, {"test", "validation"}), (0, {"test", "validation"}), (0.9, {"test"})])
def test_where_the_checker_decides_what_a_gate_rests_on_writes_for_validation_prompts_too(case, rate, splits):
    data = case.spec["data"] | {"task": "CONSTRAINED_INSTRUCTION_FOLLOWING", "artifact": "FEATURE_AMBIGUITY"}
    written = generate_and_check(
        case.records, case.plan, case.spec | {"data": data, "spuriousness": rate}, lambda some, _: ["Nothing."] * len(some)
    )
    assert {split for split, _, _ in written} == splits
    of_validation = [relation for split, _, relation in written if split == "validation"]
    assert sorted(of_validation) == ["aligned"] * 4 * (len(splits) - 1) + ["conflicting"] * 4 * (len(splits) - 1)
    assert summary(written)["byRelation"]["aligned"]["items"] == 4
