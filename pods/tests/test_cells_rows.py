"""Every row of every generated cell is what it says: its answers, its tokens, its cue, its split."""

import dataclasses
import re
from collections import Counter

import pytest
from cell_rows import by_split, cells, count_pieces, names, rows
from smollm2 import smollm2_encoder

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells import CELLS, document_texts, find_cell
from assay_pods.robustness.cells.cell import BUCKETS, CellRequest, split_of
from assay_pods.robustness.cells.math_reasoning import NOTES
from assay_pods.robustness.checkers import verify
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.records import pairs_of

AMBIGUOUS = cells("FEATURE_AMBIGUITY")
UNEQUAL = "CONSTRAINED_INSTRUCTION_FOLLOWING"
"""The one task whose right and wrong completions cannot have equally many tokens: letter case changes their number."""


@pytest.mark.parametrize("cell", CELLS, ids=names)
def test_the_right_completion_passes_and_the_wrong_one_fails_in_every_row(cell):
    for record in rows(cell, warmup=16):
        verify(record)


@pytest.mark.parametrize("cell", AMBIGUOUS, ids=names)
def test_a_row_whose_completions_are_exchanged_is_caught(cell):
    record = rows(cell)[0]
    with pytest.raises(BadInputError) as refused:
        verify(dataclasses.replace(record, chosen=record.rejected, rejected=record.chosen))
    assert refused.value.code == "CHECKER_FAILED"


@pytest.mark.parametrize("cell", CELLS, ids=names)
def test_prompt_tokens_begin_the_whole_and_both_completions_are_equally_long_under_the_real_tokenizer(cell):
    encoder = smollm2_encoder()
    size = {"trainPairs": 24, "validationPairs": 2, "testPairs": 6}
    for record in cell.generate(CellRequest(size, 102, encoder.count)):
        prompt = encoder.render(record.messages)
        right, wrong = (encoder.encode(Text(prompt, side)) for side in (record.chosen, record.rejected))
        assert right.prompt_ids == wrong.prompt_ids == encoder.tokenizer(prompt).input_ids
        if cell.task != UNEQUAL:
            assert len(right.completion_ids) == len(wrong.completion_ids), record.id


@pytest.mark.parametrize("cell", CELLS, ids=names)
def test_no_core_item_stands_in_two_splits_whatever_the_seeds_are(cell):
    trained = {record.core for seed in (101, 102) for record in by_split(rows(cell, seed), "train")}
    held = {record.core for seed in (101, 103) for record in rows(cell, seed) if record.split in ("validation", "test")}
    assert trained
    assert None not in trained | held
    assert not trained & held
    validation = {record.core for record in by_split(rows(cell), "validation")}
    assert not validation & {record.core for record in by_split(rows(cell), "test")}


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY"), ids=names)
def test_the_warm_up_shares_no_item_with_training_while_there_are_enough(cell):
    records = rows(cell, warmup=8)
    warmup, train = ({record.core for record in by_split(records, split)} for split in ("warmup", "train"))
    assert len({record.pair_id for record in by_split(records, "warmup")}) == 8
    assert cell.task == "KEYWORD_INCLUSION" or not warmup & train


def test_a_split_depends_on_the_content_alone_and_all_content_has_one():
    assert sorted(bucket for buckets in BUCKETS.values() for bucket in buckets) == list(range(20))
    assert {split_of(f"{bucket:08x}") for bucket in range(20)} == {"train", "validation", "test"}


@pytest.mark.parametrize("cell", [cell for cell in AMBIGUOUS if cell.task in ("MATH_REASONING", "DOCUMENT_GROUNDED_QA")], ids=names)
def test_without_its_cue_every_render_of_an_item_is_the_same_text_with_the_same_answer(cell):
    for renders in pairs_of(rows(cell), "test").values():
        plain = {(_without_cue(cell.task, record), record.chosen, record.gold) for record in renders.values()}
        assert plain == {(renders["neutral"].prompt, renders["neutral"].chosen, renders["neutral"].gold)}
        cued = [record.prompt for relation, record in renders.items() if relation != "neutral"]
        assert len({*cued, renders["neutral"].prompt}) == len(cued) + 1, "a cue that changes nothing"


def _without_cue(task, record):
    *before, (role, said) = record.prompt
    marks = document_texts.TAGS.values()
    if task == "MATH_REASONING":
        named = {"gold": [record.gold], "shortcut": [record.shortcut], "decoy": record.distractors}.get(record.cue_target, [])
        marks = [note.format(answer=answer) for note in NOTES.values() for answer in named]
    for mark in marks:
        assert said.count(mark) <= 1
        said = said.replace(mark, "")
    return (*before, (role, said))


@pytest.mark.parametrize("cell", [cell for cell in AMBIGUOUS if cell.task in ("MATH_REASONING", "DOCUMENT_GROUNDED_QA")], ids=names)
def test_the_cue_names_the_answer_that_its_relation_says(cell):
    for record in rows(cell):
        _, said = record.prompt[-1]
        if record.relation.endswith("aligned"):
            assert _named(cell.task, said) == [record.gold]
        elif record.relation.endswith("conflicting"):
            assert _named(cell.task, said) == [record.shortcut] != [record.gold]
            assert record.shortcut in record.rejected
        elif record.relation == "decoy":
            (named,) = _named(cell.task, said)
            assert named in record.distractors
            assert named not in (record.gold, record.shortcut)
            assert named != re.findall(r"\w+", record.rejected)[-1]
        else:
            assert record.relation == "neutral"
            assert _named(cell.task, said) == []


def _named(task, said):
    if task == "MATH_REASONING":
        starts = [note.split("{answer}") for note in NOTES.values()]
        return [said.removeprefix(before).split(after)[0] for before, after in starts if said.startswith(before)]
    return [said.split(tag)[0].split()[-1] for tag in document_texts.TAGS.values() if tag in said]


@pytest.mark.parametrize("cell", AMBIGUOUS, ids=names)
def test_the_held_out_wording_is_never_trained(cell):
    records = rows(cell, warmup=16)
    trained = {record.artifact_variant for record in records if record.split != "test"}
    held_out = {record.artifact_variant for record in records if record.relation.startswith("heldout_")}
    assert held_out
    assert not held_out & trained
    texts = " ".join(side + turn for r in records if r.split != "test" for side in (r.chosen, r.rejected) for _, turn in r.prompt)
    wordings = {"MATH_REASONING": "Someone wrote", "DOCUMENT_GROUNDED_QA": "(verified)"}.get(cell.task)
    assert wordings is None or wordings not in texts


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY", "DOCUMENT_GROUNDED_QA"), ids=names)
def test_right_answer_and_cue_stand_equally_often_at_every_place_in_every_relation(cell):
    for split in ("validation", "test"):
        for relation in ("aligned", "conflicting", "neutral"):
            some = [record for record in by_split(rows(cell), split) if record.relation == relation]
            right = Counter(record.gold_class for record in some)
            assert len(right) == some[0].candidates
            assert max(right.values()) - min(right.values()) <= 1
            cued = Counter(_place_of_cue(record) for record in some)
            assert relation == "neutral" or max(cued.values()) - min(cued.values()) <= 1


def _place_of_cue(record):
    _, said = record.prompt[-1]
    sentences = [sentence for sentence in said.split(".") if "belongs to" in sentence]
    return next((place for place, sentence in enumerate(sentences) if "[checked]" in sentence), None)


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY", "DOCUMENT_GROUNDED_QA"), ids=names)
def test_the_position_cue_moves_one_sentence_to_the_front_and_has_no_render_without_it(cell):
    size = {"trainPairs": 24, "validationPairs": 8, "testPairs": 12}
    records = cell.generate(CellRequest(size, 101, len, options={"cue": "POSITION"}))
    for renders in pairs_of(records, "test").values():
        assert "neutral" not in renders
        for relation, named in (("aligned", renders["aligned"].gold), ("conflicting", renders["aligned"].shortcut)):
            _, said = renders[relation].prompt[-1]
            assert said.split(".")[0].endswith(f"belongs to {named}")
            assert Counter(re.findall(r"\w+", said)) == Counter(re.findall(r"\w+", renders["aligned"].prompt[-1][1]))
            _, held_out = renders[f"heldout_{relation}"].prompt[-1]
            assert held_out.endswith(said)
            assert held_out != said


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY", "MATH_REASONING"), ids=names)
def test_a_misleading_note_names_every_wrong_answer_alike(cell):
    size = {"trainPairs": 150, "validationPairs": 30, "testPairs": 130}
    drawn = [
        int(record.shortcut)
        for seed in range(20)
        for record in cell.generate(CellRequest(size, seed, len))
        if record.relation == "conflicting" and record.split == "train"
    ]
    counts = Counter(drawn)
    assert set(counts) == set(range(10, 100))
    expected = len(drawn) / 90
    chi_squared = sum((counts[answer] - expected) ** 2 / expected for answer in range(10, 100))
    assert chi_squared < 137, "89 degrees of freedom, p = .001"


@pytest.mark.parametrize("cell", cells("FEATURE_AMBIGUITY", "MATH_REASONING"), ids=names)
def test_a_near_miss_is_one_or_ten_away(cell):
    for record in rows(cell):
        if record.relation == "aligned":
            wrong = int(record.rejected.rsplit("####", 1)[-1])
            assert abs(wrong - int(record.gold)) in (1, 10)


@pytest.mark.parametrize("cell", CELLS, ids=names)
def test_validation_and_test_items_are_the_same_for_every_seed_and_nested_by_size(cell):
    if cell.artifact == "FEATURE_AMBIGUITY":
        for split in ("validation", "test"):
            cores = [[record.core for record in by_split(rows(cell, seed), split)] for seed in (101, 103)]
            assert cores[0] == cores[1]
        fewer = cell.generate(CellRequest({"trainPairs": 16, "validationPairs": 10, "testPairs": 20}, 101, count_pieces))
        small = [record.core for record in by_split(fewer, "test")]
        assert small == [record.core for record in by_split(rows(cell), "test")][: len(small)]
    else:
        cores = [{record.id.rsplit("-", 1)[0]: record.core for record in by_split(rows(cell, seed), "test")} for seed in (101, 102)]
        assert cores[0] == cores[1]


@pytest.mark.parametrize("cell", CELLS, ids=names)
def test_two_seeds_train_on_different_rows(cell):
    first, second = ([record.prompt for record in by_split(rows(cell, seed), "train")] for seed in (101, 102))
    assert first != second


@pytest.mark.parametrize("cell", [cell for cell in cells(task="MATH_REASONING") if cell.core == "FULL"], ids=names)
def test_worked_solutions_compute_what_they_say_and_differ_in_the_result_alone(cell):
    for record in rows(cell):
        steps, answer = record.chosen.rsplit("\n#### ", 1)
        assert answer == record.gold
        for line in steps.replace(", ", "\n").split("\n"):
            shown = line.translate({ord("x"): "*"})
            left, right = shown.rsplit(" = ", 1)
            terms = left.split()
            start = next(place for place in range(len(terms)) if all(_is_term(term) for term in terms[place:]))
            assert eval("".join(terms[start:])) == int(right.split()[0].rstrip("."))  # noqa: S307 - our own digits and signs
        changed = [(a, b) for a, b in zip(record.chosen, record.rejected, strict=True) if a != b]
        assert 2 <= len(changed) <= 4


def _is_term(word):
    return word.isdigit() or word in "+-*/"


def test_a_cell_that_is_not_known_is_refused_by_name():
    with pytest.raises(BadInputError, match="MATH_REASONING/FEATURE_AMBIGUITY/HUGE") as refused:
        find_cell("MATH_REASONING", "FEATURE_AMBIGUITY", "HUGE")
    assert refused.value.code == "CELL_UNKNOWN"


@pytest.mark.parametrize("cell", cells(task="MATH_REASONING")[:1], ids=names)
def test_more_pairs_than_there_are_items_are_refused_with_the_number_that_there_is(cell):
    with pytest.raises(BadInputError, match=r"at most \d+ train pairs of MATH_REASONING, got 10000") as refused:
        cell.generate(CellRequest({"trainPairs": 10_000, "validationPairs": 2, "testPairs": 2}, 1, len))
    assert refused.value.code == "SIZE_TOO_LARGE"
