"""Vectors of a corpus: the same whatever shards and batches, kept over a kill piece by piece, of no encoder but the one named."""

import json

import numpy as np
import pytest
from local_context import LocalContext
from retrieval_steps import Steps, encoder_spec

from assay_pods.common.context import BadInputError, CancelledError
from assay_pods.retrieval import encode, files
from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.files import Document
from assay_pods.retrieval.run import run

TEXTS = [f"document {place} is about {'rivers ' * (place % 7)}and boats" for place in range(40)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    files.write_corpus(path, [Document(f"d{place}", text) for place, text in enumerate(TEXTS)])
    return path


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """As if a piece held seven documents: forty thousand would take a quarter of an hour."""
    monkeypatch.setattr(encode, "PIECE", 7)


def shard(folder, corpus, index=0, count=1, **changes):
    spec = Steps(folder).spec | {"step": "encode", "shard": {"index": index, "count": count, "storage": "float32"}} | changes
    return LocalContext(folder / f"{index}of{count}", spec, {"corpus": corpus}, cache=folder / "cache", cancel_after=None)


def rows_of(context):
    return context.saved["ids.txt"][1].read_text().split(), np.load(context.saved["embeddings.npy"][1])


def test_shards_together_are_the_corpus_in_its_order(tmp_path, corpus):
    ids, parts = [], []
    for index in range(3):
        context = shard(tmp_path, corpus, index, 3)
        result = run(context)
        names, rows = rows_of(context)
        assert result["documents"] == len(names) == len(rows)
        ids += names
        parts.append(rows)
    whole = shard(tmp_path / "whole", corpus)
    run(whole)
    assert ids == [f"d{place}" for place in range(40)] == rows_of(whole)[0]
    assert np.abs(np.concatenate(parts) - rows_of(whole)[1]).max() < 1e-5
    assert np.abs(np.linalg.norm(np.concatenate(parts), axis=1) - 1).max() < 1e-5


def test_vectors_do_not_depend_on_what_is_encoded_beside_them(tmp_path):
    encoder = Encoder(encoder_spec(), "cpu", tmp_path)
    together, alone = encoder.documents(TEXTS), np.concatenate([encoder.documents([text]) for text in TEXTS])
    turned = encoder.documents(TEXTS[::-1])[::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - turned).max() < 1e-5


def test_a_killed_encode_goes_on_behind_its_last_piece_and_ends_in_the_same_bytes(tmp_path, corpus):
    killed = shard(tmp_path, corpus)
    killed._cancel_after = 3
    with pytest.raises(CancelledError):
        run(killed)
    kept = list((tmp_path / "cache" / "pieces").glob("*.json"))
    assert len(kept) == 3
    again = shard(tmp_path, corpus)
    result = run(again)
    assert result["seconds"]["piecesTaken"] == 3
    whole = shard(tmp_path / "undisturbed", corpus)
    run(whole)
    assert again.saved["embeddings.npy"][1].read_bytes() == whole.saved["embeddings.npy"][1].read_bytes()
    assert not list((tmp_path / "cache" / "pieces").iterdir()), "what the artifact holds is kept no second time"


def test_a_piece_that_was_cut_short_or_has_no_mark_is_encoded_again(tmp_path, corpus):
    killed = shard(tmp_path, corpus)
    killed._cancel_after = 3
    with pytest.raises(CancelledError):
        run(killed)
    marks = sorted((tmp_path / "cache" / "pieces").glob("*.json"))
    marks[0].unlink()
    broken = marks[1].with_suffix(".npy")
    broken.write_bytes(broken.read_bytes()[:-4])
    again = shard(tmp_path, corpus)
    assert run(again)["seconds"]["piecesTaken"] == 1


def test_a_shard_may_be_empty_and_half_precision_is_stored_as_such(tmp_path, corpus):
    few = tmp_path / "few.jsonl"
    files.write_corpus(few, [Document("a", "one")])
    results = [run(shard(tmp_path, few, index, 2)) for index in range(2)]
    assert sorted(result["documents"] for result in results) == [0, 1]
    half = shard(tmp_path / "half", corpus, shard={"index": 0, "count": 1, "storage": "float16"})
    run(half)
    assert rows_of(half)[1].dtype == np.float16


def test_prompts_pooling_and_length_are_part_of_the_encoder(tmp_path):
    plain = Encoder(encoder_spec(), "cpu", tmp_path)
    asked = Encoder(encoder_spec() | {"queryPrompt": "query: ", "documentPrompt": "passage: "}, "cpu", tmp_path)
    assert np.abs(asked.queries(["boats"]) - plain.queries(["query: boats"])).max() < 1e-6
    assert np.abs(asked.documents(["boats"]) - plain.queries(["passage: boats"])).max() < 1e-6
    first = Encoder(encoder_spec() | {"pooling": "cls"}, "cpu", tmp_path).queries(["boats"])
    assert np.abs(first - plain.queries(["boats"])).max() > 0.01
    short = Encoder(encoder_spec() | {"maxLength": 8}, "cpu", tmp_path)
    assert np.abs(short.queries(["a b c d e f g h i j k"]) - short.queries(["a b c d e f"])).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"digest": "0" * 64}, "MODEL_DIGEST_MISMATCH"),
        ({"pooling": "sum"}, "ENCODER_UNSUPPORTED"),
        ({"source": {"kind": "PACKAGE", "name": "other", "version": "1"}}, "MODEL_NOT_FOUND"),
    ],
)
def test_another_encoder_than_the_one_named_is_refused(tmp_path, change, code):
    with pytest.raises(BadInputError) as refused:
        Encoder(encoder_spec() | change, "cpu", tmp_path)
    assert refused.value.code == code


def test_a_folder_without_a_text_encoder_is_refused(tmp_path):
    from assay_pods.common.model_files import folder_digest

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "nothing-known"}))
    (folder / "tokenizer_config.json").write_text("{}")
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(2, dtype=np.float32)}, folder / "model.safetensors")
    spec = encoder_spec() | {"digest": folder_digest(folder), "source": {"kind": "PATH", "path": str(folder)}}
    with pytest.raises(BadInputError) as refused:
        Encoder(spec, "cpu", tmp_path)
    assert refused.value.code == "ENCODER_UNSUPPORTED"
