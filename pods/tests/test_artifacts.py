"""The artifact store, canonical JSON and the code digest."""

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from assay_pods.common.artifacts import ArtifactError, ArtifactStore, Origin
from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.code_digest import code_digest

RUN = "0190b5c2-0000-7000-8000-000000000001"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def unfinished(store: ArtifactStore) -> list[Path]:
    return [path for path in (store.root / "tmp").rglob("*") if path.is_file()]


def test_a_file_moves_to_its_digest(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    stored = store.save(source, Origin(RUN, 1, "items.jsonl"))
    digest = hashlib.sha256(b"bytes").hexdigest()
    assert stored == (digest, 5)
    assert store.path_of(digest) == store.root / "cas" / digest[:2] / digest
    assert store.verified(digest).read_bytes() == b"bytes"
    assert not source.exists()
    assert unfinished(store) == []
    assert store.path_of(digest).stat().st_mode & 0o222 == 0, "an artifact cannot be written"


def test_equal_bytes_are_one_file(store):
    first = store.save_bytes(b"same", Origin(RUN, 1, "a"))
    second = store.save_bytes(b"same", Origin(RUN, 2, "b"))
    assert first == second
    assert len([path for path in (store.root / "cas").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/passwd", "a\\b", "", ".", "..", ".hidden", "a\0b", "%2e%2e/x", "x" * 129, "a\nb", "é"]
)
def test_a_name_is_a_label_and_never_a_path(store, tmp_path, name):
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    with pytest.raises(ArtifactError, match="wanted an artifact name"):
        store.save(source, Origin(RUN, 1, name))
    assert source.exists(), "a refused file stays where it is"
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, ""])
def test_a_digest_is_hex_and_never_a_path(store, digest):
    with pytest.raises(ArtifactError, match="wanted a SHA-256"):
        store.verified(digest)


def test_a_link_or_folder_is_not_saved(store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = tmp_path / "link"
    link.symlink_to(secret)
    for path in (link, tmp_path, tmp_path / "missing"):
        with pytest.raises(ArtifactError, match="wanted a regular file"):
            store.save(path, Origin(RUN, 1, "a"))
    assert secret.read_text() == "secret"


def test_a_changed_file_is_told(store):
    stored = store.save_bytes(b"true", Origin(RUN, 1, "a"))
    path = store.path_of(stored.sha256)
    path.chmod(0o644)
    path.write_bytes(b"lies")
    with pytest.raises(ArtifactError, match=f"wanted the artifact {stored.sha256}, but its file has the digest"):
        store.verified(stored.sha256)


def test_a_full_disk_leaves_nothing_half_done(store, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(b"bytes")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(source, Origin(RUN, 1, "a"))
    assert unfinished(store) == []
    assert [path for path in (store.root / "cas").rglob("*") if path.is_file()] == []


def test_a_file_from_another_disk_is_copied(store, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    replace = Path.replace

    def across(self: Path, target: Path) -> Path:
        if self == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    stored = store.save(source, Origin(RUN, 1, "a"))
    assert store.verified(stored.sha256).read_bytes() == b"bytes"
    assert not source.exists()


def test_readers_never_see_a_part_of_a_file(store):
    data = os.urandom(1 << 20)
    digest = hashlib.sha256(data).hexdigest()
    sizes: set[int] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                sizes.add(len(store.path_of(digest).read_bytes()))
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=store.save_bytes, args=(data, Origin(RUN, epoch, "a"))) for epoch in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    over.set()
    reader.join()
    assert sizes <= {len(data)}
    assert store.verified(digest).stat().st_size == len(data)


def test_what_an_attempt_left_is_removed(store):
    folder = store.attempt_folder(RUN, 1)
    (folder / "work").mkdir(parents=True)
    (folder / "a.partial").write_text("half")
    store.attempt_folder(RUN, 2).mkdir()
    store.remove_attempt(RUN, 1)
    assert not folder.exists()
    assert store.attempt_folder(RUN, 2).exists()
    store.remove_attempt(RUN, 2)
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 2.0, -0.0], "a": {"é": None, "z": True}}, '{"a":{"z":true,"é":null},"b":[1,2,0]}'),
        (
            [1e-7, 1e-6, 0.1, 123456.789, 1e20, 1e21, 1.5e300, 5e-324],
            "[1e-7,0.000001,0.1,123456.789,100000000000000000000,1e+21,1.5e+300,5e-324]",
        ),
        ({"\U0001f600": 1, "\uff5e": 2}, '{"\U0001f600":1,"\uff5e":2}'),
        ('\x00\n"\\\u2028\x7f', '"\\u0000\\n\\"\\\\\u2028\x7f"'),
        ((), "[]"),
    ],
)
def test_canonical_json_is_what_javascript_writes(value, text):
    assert canonical_json(value) == text.encode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [float("inf")]}, r"wanted a finite number at \$\.a\[0\], but got inf"),
        ({"a": float("nan")}, r"wanted a finite number at \$\.a, but got nan"),
        ({1: 2}, r"wanted string keys at \$, but got 1"),
        ({"a": 2**53}, r"wanted an integer of at most 2\^53 - 1"),
        ({"a": {1, 2}}, r"wanted a JSON value at \$\.a, but got set"),
        ("\ud800", "half of a surrogate pair"),
    ],
)
def test_canonical_json_refuses_what_json_cannot_say(value, words):
    with pytest.raises(ValueError, match=words):
        canonical_json(value)


def test_the_code_digest_follows_its_rule(tmp_path):
    for name, text in {"cap/run.py": "run", "cap/deep/more.py": "more", "common/a.py": "a", "cap/notes.txt": "no"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folders = {"cap": tmp_path / "cap", "common": tmp_path / "common"}
    lines = [
        f"{name}\0{hashlib.sha256(text.encode()).hexdigest()}\n"
        for name, text in [("cap/deep/more.py", "more"), ("cap/run.py", "run"), ("common/a.py", "a")]
    ]
    before = code_digest(folders)
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    (tmp_path / "cap/notes.txt").write_text("yes")
    assert code_digest(folders) == before
    (tmp_path / "common/a.py").write_text("b")
    assert code_digest(folders) != before


def test_files_that_were_not_wholly_fetched_make_room_too_unless_somebody_fetches_them(store):
    left, wanted = "a" * 64, "b" * 64
    for digest in (left, wanted):
        store.fetched_path(digest).write_bytes(b"x" * 100)
    store.evict(150, {wanted})
    assert not store.fetched_path(left).exists()
    assert store.fetched_path(wanted).exists()
