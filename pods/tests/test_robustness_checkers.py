"""Checkers give the verdicts of the reference implementations, and no text makes them slow."""

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.robustness.checkers import ifeval, numbers, passes, scores, squad
from assay_pods.robustness.records import Checker

DATA = Path(__file__).parent / "data"
IFEVAL = json.loads((DATA / "ifeval_verdicts.json").read_text())
SQUAD = json.loads((DATA / "squad_verdicts.json").read_text())
SECONDS_MAX = 5.0
"""A linear walk takes some tenths of a second here; a quadratic one takes minutes."""


@pytest.mark.parametrize("rule", ifeval.RULES)
def test_ifeval_verdicts_equal_the_reference_strict_and_loose(rule: str) -> None:
    rows = [row for row in IFEVAL if row[0] == rule]
    assert len(rows) >= 80
    assert {row[3] for row in rows} == {True, False}
    for _, kwargs, text, strict, loose in rows:
        found = scores(Checker(f"ifeval:{rule}", kwargs), text)
        assert found == {"strict": float(strict), "loose": float(loose)}, (kwargs, text)


def test_loose_forgives_what_strict_does_not() -> None:
    assert sum(row[4] and not row[3] for row in IFEVAL) > 50
    assert not any(row[3] and not row[4] for row in IFEVAL)


def test_a_prompt_with_several_instructions_is_followed_only_if_all_are() -> None:
    instructions = [{"id": "punctuation:no_comma", "kwargs": {}}, {"id": "startend:quotation", "kwargs": {}}]
    checker = Checker("ifeval", {"instructions": instructions})
    assert passes(checker, '"No pause here"')
    assert not passes(checker, '"A pause, here"')
    assert scores(checker, 'So:\n"No pause here"') == {"strict": 0.0, "loose": 1.0}


@pytest.mark.parametrize("rule", ifeval.UNCHECKABLE)
def test_an_instruction_that_cannot_be_checked_offline_is_named(rule: str) -> None:
    with pytest.raises(BadInputError, match=rule) as refused:
        passes(Checker(f"ifeval:{rule}", {}), "One. Two.")
    assert refused.value.code == "CHECKER_UNKNOWN"


@pytest.mark.parametrize(
    ("rule", "kwargs"),
    [
        ("keywords:existence", {}),
        ("keywords:existence", {"keywords": []}),
        ("keywords:frequency", {"keyword": "sea", "frequency": 2, "relation": "at most"}),
        ("keywords:letter_frequency", {"letter": "!", "let_frequency": 1, "let_relation": "at least"}),
        ("length_constraints:number_words", {"relation": "at least"}),
        ("length_constraints:number_words", {"num_words": -1, "relation": "at least"}),
        ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"}),
        ("detectable_format:number_bullet_lists", {"num_bullets": True}),
        ("no:such_rule", {}),
    ],
)
def test_arguments_that_the_official_code_draws_at_random_are_refused(rule: str, kwargs: dict[str, object]) -> None:
    with pytest.raises(BadInputError) as refused:
        passes(Checker(f"ifeval:{rule}", kwargs), "a text")
    assert refused.value.code == "CHECKER_UNKNOWN"


@pytest.mark.parametrize("word", ["a.c", "(", "a+", "\\d", "[x"])
def test_words_from_data_are_never_patterns(word: str) -> None:
    assert not passes(Checker("ifeval:keywords:existence", {"keywords": [word]}), "abc aa 7")
    assert passes(Checker("ifeval:keywords:existence", {"keywords": [word]}), f"see {word} here")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 12", "12"),
        ("3 + 4 = 7", "7"),
        ("so 5-3=2", "2"),
        ("it is 5-3", "3"),
        ("She makes 9 * 2 = $<<9*2=18>>18.\n#### 18", "18"),
        ("#### 18\nQ: 3+4\n#### 7", "18"),
        ("#### 70,000", "70000"),
        ("#### $1,050.50 in all", "1050.5"),
        ("#### -3", "-3"),
        ("####−3", "-3"),
        ("#### -$5", "-5"),
        ("####\n7", "7"),
        ("#### none, so 4", "4"),
        ("-0.0", "0"),
        ("007", "7"),
        (".5", "0.5"),
        ("The answer is -128.", "-128"),
        ("1,2", "2"),
        ("1,0000", "0"),
        ("12 34", "34"),
        ("x2", "2"),
        ("no number", None),
        ("٣", None),
        ("", None),
    ],
)
def test_the_number_of_a_text_is_taken_out_exactly(text: str, number: str | None) -> None:
    assert numbers.extract(text) == number


def test_a_number_is_right_or_wrong_and_never_nearly_right() -> None:
    checker = Checker("number", {"answer": "#### 1,000"})
    assert passes(checker, "That makes 1000.00")
    assert not passes(checker, "That makes 1000.01")
    assert not passes(checker, "That makes -1000")
    with pytest.raises(BadInputError):
        passes(Checker("number", {"answer": "none"}), "5")


def test_squad_scores_equal_the_official_script() -> None:
    assert {row[2] for row in SQUAD} == {0, 1}
    assert len({row[3] for row in SQUAD}) > 4
    for text, answer, exact, f1 in SQUAD:
        assert squad.exact(text, [answer]) == exact, (text, answer)
        assert squad.f1(text, [answer]) == f1, (text, answer)


def test_squad_takes_the_best_of_several_answers() -> None:
    assert squad.scores("the Norse leader Rollo", {"answers": ["Rollo of Normandy", "Rollo"]}) == {"exact": 0.0, "f1": 0.5}
    assert passes(Checker("squad", {"answers": ["Rollo of Normandy", "Rollo"]}), "The Rollo!")


def test_squad_2_wants_an_empty_answer_where_there_is_none_and_1_1_has_no_such_questions() -> None:
    assert squad.scores(" ", {"answers": []}) == {"exact": 1.0, "f1": 1.0}
    assert squad.scores("Rollo", {"answers": []}) == {"exact": 0.0, "f1": 0.0}
    assert squad.scores("", {"answers": ["the"]}) == {"exact": 1.0, "f1": 1.0}
    assert squad.scores("", {"answers": ["the"], "version": "1.1"}) == {"exact": 1.0, "f1": 0.0}
    with pytest.raises(BadInputError):
        squad.scores("", {"answers": [], "version": "1.1"})


HOSTILE = {
    "newlines": "\n" * 200_000,
    "spaces": " " * 200_000,
    "stars": "*" * 200_000,
    "starred lines": "*\n" * 100_000,
    "open brackets": "[" * 200_000,
    "open angles": "<<" * 100_000,
    "hashes": "#" * 200_000,
    "digits": "1" * 200_000,
    "groups": "1,111" * 40_000,
    "quotes": '"' * 200_000,
    "sections": "Section " * 25_000,
    "deep": "[" * 100_000 + "]" * 100_000,
    "almost a word": "aaaaaaaaaa" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_makes_a_checker_slow(name: str) -> None:
    arguments: dict[str, dict[str, object]] = defaultdict(dict)
    for rule, kwargs, *_ in IFEVAL:
        arguments[f"ifeval:{rule}"] = kwargs
    arguments |= {"number": {"answer": "1"}, "squad": {"answers": ["x"]}, "exact": {"answer": "x"}}
    arguments["keywords:existence"] = {"keywords": ["a" * 99 + "b"]}
    started = time.process_time()
    for rule, kwargs in arguments.items():
        passes(Checker(rule, kwargs), HOSTILE[name])
    assert time.process_time() - started < SECONDS_MAX
