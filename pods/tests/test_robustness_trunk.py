"""The tree of shared beginnings and the cached trunk against plain forward passes."""

import pytest
import torch
from tiny import tiny_case, tiny_model

from assay_pods.robustness import trunk
from assay_pods.robustness.blocks import edge_logprobs, embed, run_blocks
from assay_pods.robustness.encoding import Encoded, Text
from assay_pods.robustness.score import full_scorer, reference_scorer, top_blocks_scorer
from assay_pods.robustness.steps import texts_of
from assay_pods.robustness.tree import PrefixTree, batch_of, chunks_of


def plain_logprob(model, encoded: Encoded, with_end: bool, padding: int = 0) -> float:
    """One text alone in a right-padded row, as a trainer's collator lays it out."""
    ids = torch.tensor([[*encoded.prompt_ids, *encoded.completion_ids, *[2] * padding]])
    mask = torch.ones_like(ids)
    length = len(encoded.prompt_ids) + len(encoded.completion_ids)
    mask[:, length:] = 0
    with torch.no_grad():
        logprobs = model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    last = length if with_end else length - 1
    return sum(logprobs[0, place - 1, ids[0, place]].item() for place in range(len(encoded.prompt_ids), last))


def all_texts(case):
    return list(case.plan.tree.paths)


def test_a_shared_beginning_is_one_chain_of_nodes():
    tree = PrefixTree()
    tree.add(Text("a", "x"), Encoded([5, 6], [7, 8, 2]))
    tree.add(Text("a", "y"), Encoded([5, 6], [7, 9, 2]))
    tree.add(Text("a", "x"), Encoded([5, 6], [7, 8, 2]))
    assert tree.tokens == [5, 6, 7, 8, 2, 9, 2]
    assert tree.parents == [-1, 0, 1, 2, 3, 2, 5]
    batch = batch_of(tree, [tree.paths[Text("a", "x")], tree.paths[Text("a", "y")]], with_end=True)
    assert batch.nodes.tolist() == [0, 1, 2, 3, 5]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 3]]
    assert batch.mask[0, 0, 4].tolist() == [True, True, True, False, True]
    assert batch.membership.tolist() == [[1, 1, 1, 0, 0], [1, 0, 0, 1, 1]]


def test_sums_over_texts_stay_in_fp32_where_products_are_done_in_bf16():
    tree = PrefixTree()
    tree.add(Text("a", "x"), Encoded([5], [7, 8, 2]))
    batch = batch_of(tree, [tree.paths[Text("a", "x")]], with_end=True)
    values = torch.tensor([-20.0, -0.0625, -0.001])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (batch.membership @ values).dtype == torch.bfloat16
        assert batch.sum_by_text(values).item() == pytest.approx(-20.0635, abs=1e-5)


def test_every_text_is_in_one_chunk_whatever_its_size():
    case = tiny_case()
    paths = [case.plan.tree.paths[text] for text in all_texts(case)]
    for nodes_max in (1, 40, 10_000):
        chunks = list(chunks_of(case.plan.tree, paths, nodes_max))
        assert sorted(place for chunk in chunks for place in chunk) == list(range(len(paths)))
    assert len(list(chunks_of(case.plan.tree, paths, 1))) == len(paths)


def test_tree_logprobs_equal_plain_forward_passes_of_single_texts():
    case, model = tiny_case(), tiny_model()
    texts = all_texts(case)[::7]
    paths = [case.plan.tree.paths[text] for text in texts]
    for with_end in (True, False):
        batch = batch_of(case.plan.tree, paths, with_end)
        with torch.no_grad():
            sums = batch.membership @ edge_logprobs(model, batch, run_blocks(model, batch, embed(model, batch), slice(None)))
        for text, value in zip(texts, sums.tolist(), strict=True):
            assert value == pytest.approx(plain_logprob(model, case.plan.encoder.encode(text), with_end), abs=1e-4, rel=1e-6)


def test_padding_a_text_changes_nothing():
    case, model = tiny_case(), tiny_model()
    text = case.plan.trained_texts[0]
    value = case.trunk.reference(batch_of(case.plan.tree, [case.plan.tree.paths[text]], with_end=True)).item()
    for padding in (0, 37):
        assert plain_logprob(model, case.plan.encoder.encode(text), True, padding) == pytest.approx(value, rel=1e-6)


def test_the_trunk_keeps_the_untrained_models_logprobs_of_every_trained_text():
    case, model = tiny_case(), tiny_model()
    assert trunk.largest_error(model, case.plan, case.trunk, case.plan.trained_texts) < 1e-4


def test_the_top_blocks_above_the_trunk_are_the_whole_model():
    case, model = tiny_case(), tiny_model()
    texts = [side for question in case.plan.questions for side in (question.right, question.wrong)]
    whole = full_scorer(model, case.plan, lambda done, total: None)(texts)
    above = top_blocks_scorer(case.top(model), lambda done, total: None)(texts)
    reference = reference_scorer(case.plan, case.trunk)(texts)
    assert above == pytest.approx(whole, abs=1e-4)
    assert reference == pytest.approx(whole, abs=1e-4)


def test_every_text_that_a_rate_or_method_may_need_is_in_the_trunk():
    case = tiny_case()
    for method in ("SFT", "DPO", "KTO"):
        for rho in (0.0, 0.1, 0.5, 0.9, 1.0):
            assert set(texts_of(case.work(method, rho).steps)) <= set(case.plan.trained_texts)


def test_a_trunk_reads_back_equal_and_refuses_another_plan(tmp_path):
    case, other = tiny_case(), tiny_case(seed=102)
    trunk.save(case.trunk, case.plan, tmp_path / "trunk.safetensors")
    again = trunk.load(tmp_path / "trunk.safetensors", case.plan)
    assert torch.equal(again.hidden_td, case.trunk.hidden_td)
    assert torch.equal(again.reference_t, case.trunk.reference_t)
    with pytest.raises(AssertionError, match="its own records"):
        trunk.load(tmp_path / "trunk.safetensors", other.plan)


def test_a_text_that_was_only_to_be_scored_gets_its_end_token_when_it_is_trained():
    case = tiny_case()
    trained = set(case.plan.trained_texts)
    scored = next(side for question in case.plan.questions for side in (question.right, question.wrong) if side not in trained)
    end = list(case.plan.tree.paths[scored].edges(with_end=True))[-1]
    assert case.trunk.reference_t[end] == 0.0
    cut = trunk.Cut(tiny_model(), case.spec["trainer"]["blocks"])
    grown = trunk.extended(cut, case.plan, case.trunk, [scored])
    assert trunk.largest_error(tiny_model(), case.plan, grown, [scored]) < 1e-4
    others = [place for place in range(len(case.trunk.reference_t)) if place != end]
    assert torch.equal(grown.reference_t[others], case.trunk.reference_t[others])
