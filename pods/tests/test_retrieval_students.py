"""Students: a ridge by its normal equations, losses by hand, a control without fixed points, and the base where nothing beats it."""

import json

import numpy as np
import pytest
import torch
from local_context import KilledError, LocalContext, Wishes
from retrieval_steps import STUDENT, Steps
from sentence_transformers import SentenceTransformer

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import files, vectors
from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.files import Query
from assay_pods.retrieval.run import run
from assay_pods.retrieval.students.fine_tune import loss_of
from assay_pods.retrieval.students.lessons import Batch
from assay_pods.retrieval.students.losses import distillation, info_nce
from assay_pods.retrieval.students.ridge import fit
from assay_pods.retrieval.students.targets import shuffled, topics_of

SMALL = {"kind": "PLANTED", "topics": 6, "unseenTopics": 2, "phrasings": 8, "documentsPerTopic": 3, "seed": 3}
SHORT = {"epochs": 2, "layers": 1, "learningRate": 1e-3}


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return Steps(tmp_path_factory.mktemp("taught"), SMALL, {"kind": "HASH", "dev": 0.25, "test": 0.25}).until_taught(1)


def unit_rows(seed, count, width=6):
    return vectors.unit(np.random.default_rng(seed).normal(size=(count, width)))


def test_squared_distances_of_unit_vectors_are_two_minus_two_cosines():
    student, teacher = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]])
    assert distillation(student, teacher).item() == pytest.approx(0.8)
    rows = [torch.from_numpy(unit_rows(seed, 5)) for seed in (1, 2)]
    assert distillation(rows[0], rows[1]).item() == pytest.approx((2 - 2 * (rows[0] * rows[1]).sum(dim=1)).mean().item(), abs=1e-6)


def test_info_nce_is_the_cross_entropy_worked_by_hand_and_no_relevant_document_is_a_negative():
    student, documents = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.8, 0.6], [0.6, 0.8], [1.0, 0.0]])
    own = torch.tensor([0, 1])
    relevant = torch.tensor([[True, False, True], [False, True, False]])
    exp = np.exp(np.array([0.8, 0.6]) / 0.5)
    others = np.exp(np.array([0.8, 0.6, 0.0]) / 0.5)
    wanted = -np.mean([np.log(exp[0] / exp.sum()), np.log(others[0] / others.sum())])
    assert info_nce(student, documents, relevant, own, 0.5).item() == pytest.approx(wanted, rel=1e-5)


def test_the_ridge_solves_its_normal_equations_and_a_strong_penalty_leaves_the_base():
    base, target = unit_rows(1, 40), unit_rows(2, 40)
    found = fit(base, target, 0.1)
    wide = base.astype(np.float64)
    gradient = wide.T @ (wide + wide @ found.weights - target) + 0.1 * 40 / 6 * found.weights
    assert np.abs(gradient).max() < 1e-9
    assert np.abs(fit(base, target, 1e9).rows(base) - base).max() < 1e-6
    assert np.abs(fit(base, base, 0.1).weights).max() < 1e-6, "a teacher that is the base moves nothing"


def test_topics_are_exchanged_without_a_fixed_point():
    queries = [Query(f"q{place}", "") for place in range(9)]
    qrels = {f"q{place}": {f"d{place // 3}": 1, "shared": 0} for place in range(9)} | {"q8": {"d2": 1, "d9": 1}}
    topics = topics_of(queries, qrels)
    assert topics == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for seed in range(20):
        other = shuffled(queries, qrels, seed)
        assert all(topics[place] != topics[there] for place, there in enumerate(other))
        assert len({topics[there] for there in other}) == 3
    with pytest.raises(BadInputError, match="one topic"):
        shuffled(queries, {query.id: {"d": 1} for query in queries}, 0)


def test_a_teacher_that_is_the_base_gives_no_loss_and_no_gradient(steps):
    encoder = Encoder(steps.spec["encoder"], "cpu", steps.folder)
    texts = ["what is a boat", "tell me about rivers"]
    encoder.model.eval()
    with torch.no_grad():
        own = encoder.forward(texts).numpy()
    nothing = np.zeros((0, own.shape[1]), dtype=np.float32)
    batch = Batch(texts, own, nothing, np.zeros((2, 0), dtype=bool), np.zeros(0, dtype=np.intp))
    loss = loss_of(encoder, batch, STUDENT)
    loss.backward()
    assert loss.item() == 0.0
    assert all(not value.grad.any() for value in encoder.model.parameters() if value.grad is not None)


def test_where_nothing_beats_the_base_its_ranking_is_kept_to_the_byte(steps, tmp_path):
    """The teacher is made equal to the base: whatever rounding does, the base is selected."""
    made = vectors.read(steps.files["vectors"])
    path = tmp_path / "vectors.safetensors"
    vectors.write(path, made._replace(teacher=made.base))
    base = [row for row in files.read_rankings(steps.files["rankings"]) if row.system == "BASE"]
    for kind in ("SOFTQE", "RIDGE"):
        result = steps.do("train", f"identical-{kind}", {"vectors": path}, student=STUDENT | SHORT | {"kind": kind}, seed=1)
        assert result["selected"]["step"] == 0
        assert result["warnings"] == ["nothing was better than the base on dev queries: the student is the base"]
        found = files.read_rankings(steps.context.saved["rankings.jsonl"][1])
        assert [(row.query, row.documents, row.scores) for row in found] == [(row.query, row.documents, row.scores) for row in base]


def test_a_student_is_a_folder_that_sentence_transformers_load_and_ranks_as_it_did(steps, tmp_path):
    import zipfile

    queries = [query for query in files.read_queries(steps.files["queries"]) if query.split == "test"]
    shards = vectors.open_shards(steps.context)
    for kind in ("RIDGE", "SOFTQE"):
        result, rankings = steps.train(kind, **(SHORT if kind == "SOFTQE" else {}))
        assert result["selected"]["step"] > 0, "a student was selected, so that there is something to compare"
        with zipfile.ZipFile(steps.context.saved["student.zip"][1]) as packed:
            packed.extractall(tmp_path / kind)
        rows = SentenceTransformer(str(tmp_path / kind), device="cpu").encode([query.text for query in queries])
        for row, query, ranking in zip(rows, queries, rankings, strict=True):
            assert ranking["query"] == query.id
            assert ranking["scores"][:10] == pytest.approx((shards.vectors(ranking["documents"][:10]) @ row).tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["CONTRASTIVE", "SOFTQE_MIXED"])
def test_a_training_that_was_killed_ends_in_the_same_bytes(steps, kind):
    settings = STUDENT | SHORT | {"kind": kind, "alpha": 0.0 if kind == "CONTRASTIVE" else 0.5}
    spec = steps.spec | {"step": "train", "student": settings, "seed": 5}
    whole = LocalContext(steps.folder / f"whole-{kind}", spec, steps.files)
    result = run(whole)
    killed = LocalContext(steps.folder / f"killed-{kind}", spec, steps.files, training=Wishes(checkpoints_at=frozenset({3}), killed_at=4))
    with pytest.raises(KilledError):
        run(killed)
    step, kept = killed.checkpoints[-1]
    assert step == 3
    again = LocalContext(steps.folder / f"again-{kind}", spec, steps.files, training=Wishes(resume=kept))
    resumed = run(again)
    for name in ("weights.safetensors", "rankings.jsonl", "student.zip"):
        assert whole.saved[name][1].read_bytes() == again.saved[name][1].read_bytes(), name
    assert {**result, "seconds": None} == {**resumed, "seconds": None}


def test_behind_a_closed_gate_nothing_is_distilled_and_contrast_goes_on(steps, tmp_path):
    shut = tmp_path / "teach.json"
    shut.write_text(json.dumps({"gate": [{"fold": 0, "open": False}]}))
    for kind, trained in (("SOFTQE", False), ("SHUFFLED", False), ("RIDGE", False), ("CONTRASTIVE", True)):
        alpha = {"alpha": 0.0} if kind == "CONTRASTIVE" else {}
        gate = {} if kind == "CONTRASTIVE" else {"gate": "ENFORCE"}
        spec = {name: value for name, value in steps.spec.items() if name != "gate"} | gate
        student = STUDENT | SHORT | {"epochs": 1, "kind": kind} | alpha
        context = LocalContext(tmp_path / kind, spec | {"step": "train", "student": student, "seed": 1}, steps.files | {"teach": shut})
        result = run(context)
        assert (result["trained"], result["reason"]) == (trained, None if trained else "GATE")
        assert bool(context.saved) is trained


def test_last_layers_alone_are_trained_and_more_than_there_are_is_refused(steps):
    steps.train("SOFTQE", seed=9, epochs=1, layers=2, learningRate=1e-4)
    from safetensors.numpy import load_file

    names = load_file(steps.context.saved["weights.safetensors"][1])
    assert {name.split(".layer.")[1].split(".")[0] for name in names} == {"4", "5"}
    with pytest.raises(BadInputError, match="at least 9 layers, got 6") as refused:
        steps.train("SOFTQE", seed=9, layers=9)
    assert refused.value.code == "ENCODER_UNSUPPORTED"


def test_the_gate_is_open_where_expansions_help_on_dev_and_tells_its_interval(steps):
    gate = steps.results["teach"]["gate"][0]
    assert gate["open"] is True
    assert 0 < gate["low"] <= gate["delta"] <= gate["high"]


def test_a_divergence_is_told_with_its_step(steps):
    with pytest.raises(BadInputError) as refused:
        steps.train("SOFTQE", learningRate=1e30, epochs=4)
    assert refused.value.code == "TRAINING_DIVERGED"
