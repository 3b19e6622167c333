"""Expansions by a language model: what it is asked, what it costs, and how it fails."""

import hashlib
import socket

import pytest

from assay_pods.common.context import BadInputError, TransientError
from assay_pods.common.model_files import folder_digest
from assay_pods.retrieval import collections, files
from assay_pods.retrieval.expand import expand
from assay_pods.retrieval.expansion import endpoint
from tests.local_context import LocalContext
from tests.retrieval_collect import collect, spec
from tests.teacher_server import TeacherServer, completion
from tests.tiny import tokenizer_of, write_tiny_model

SMALL = {"kind": "PLANTED", "topics": 4, "unseenTopics": 1, "phrasings": 4, "documentsPerTopic": 2, "seed": 7}
PROMPT = 'Answer {query} as {"json": true}'


@pytest.fixture
def teacher():
    server = TeacherServer()
    yield server
    server.close()


@pytest.fixture
def collection(tmp_path):
    return collect(tmp_path / "collection", collection=SMALL, expansion=None)[0]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    words = [query.text for query in collections.make(SMALL).queries]
    return write_tiny_model(tmp_path_factory.mktemp("model"), tokenizer_of(words))


def asking(url, **changes):
    fields = {"kind": "ENDPOINT", "url": url, "model": "m-1", "prompt": PROMPT, "samples": 2, "temperature": 0.7, "maxTokens": 32}
    prices = {"pricePerMillionPromptTokens": 2, "pricePerMillionCompletionTokens": 10}
    return fields | {"secretEnv": None} | prices | changes


def expanded(folder, collection, expansion, cancel_after=None):
    context = LocalContext(folder, spec("expand", collection=SMALL, expansion=expansion), collection, folder / "cache", cancel_after)
    return context, lambda: expand(context)


def refused(folder, collection, expansion, wanted=BadInputError):
    context, run = expanded(folder, collection, expansion)
    with pytest.raises(wanted) as wrong:
        run()
    return context, f"{wrong.value.code}: {wrong.value}"


def test_every_query_is_asked_verbatim_and_every_answer_is_counted(tmp_path, teacher, collection):
    context, run = expanded(tmp_path, collection, asking(teacher.url))
    result = run()
    queries = files.read_queries(collection["queries"])
    assert len(teacher.asked) == 2 * len(queries) == 40
    wanted = {(f'Answer {query.text} as {{"json": true}}', sample) for query in queries for sample in (0, 1)}
    assert {(asked.prompt, asked.body["seed"]) for asked in teacher.asked} == wanted
    body = teacher.asked[0].body
    assert (teacher.asked[0].path, body["model"], body["temperature"], body["max_tokens"]) == ("/v1/chat/completions", "m-1", 0.7, 32)
    found = files.read_expansions(context.saved["expansions.jsonl"][1])
    assert [[sample.text for sample in samples] for samples in found.values()] == [
        [f'Written about Answer {query.text} as {{"json": true}}, take {sample}.' for sample in (0, 1)] for query in queries
    ]
    assert result["promptHashes"] == [hashlib.sha256(PROMPT.encode()).hexdigest()] == [found[queries[0].id][0].prompt_hash]
    assert result["providers"] == ["m-1"]
    assert result["prompt"] == PROMPT
    assert len(context.answers) == 40
    read, written = (sum(tokens) for tokens in zip(*context.answers, strict=True))
    assert (result["promptTokens"], result["completionTokens"]) == (read, written)
    assert sum(sample.prompt_tokens for samples in found.values() for sample in samples) == read
    assert result["price"] == pytest.approx(2e-6 * read + 1e-5 * written)


def test_an_interrupted_run_goes_on_and_pays_for_no_answer_twice(tmp_path, teacher, collection):
    context, run = expanded(tmp_path, collection, asking(teacher.url), cancel_after=3)
    with pytest.raises(Exception, match="cancelled"):
        run()
    first = len(context.answers)
    assert 8 <= first < 40
    again, run = expanded(tmp_path, collection, asking(teacher.url))
    result = run()
    assert first + len(again.answers) == len(teacher.asked) == 40
    assert result["answers"] == 40
    other, run = expanded(tmp_path, collection, asking(teacher.url, temperature=0))
    run()
    assert len(other.answers) == 40, "another temperature is another question"


def test_a_busy_teacher_is_asked_again(tmp_path, teacher, collection):
    teacher.trouble = lambda number, asked: (
        (429, {"error": {"message": "slow down"}}) if number in (2, 5) else (503, {}) if number == 9 else None
    )
    context, run = expanded(tmp_path, collection, asking(teacher.url))
    assert run()["answers"] == 40
    assert len(teacher.asked) == 43
    assert len(context.answers) == 40


def test_a_teacher_that_never_answers_leaves_the_run_to_be_tried_again(tmp_path, teacher, collection, monkeypatch):
    teacher.trouble = lambda number, asked: (500, {}) if asked.body["seed"] == 1 else None
    context, said = refused(tmp_path, collection, asking(teacher.url), TransientError)
    assert said.startswith("TEACHER_UNREACHABLE: wanted an answer within 6 tries, got: InternalServerError")
    assert len(context.answers) == 4, "the answers that came are in the ledger"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(endpoint, "RETRIES", 0)
        _, said = refused(tmp_path, collection, asking(f"http://127.0.0.1:{closed.getsockname()[1]}/v1"), TransientError)
    assert "APIConnectionError" in said


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ((401, {"error": {"message": "no such key"}}), "AuthenticationError: Error code: 401"),
        ((404, {"error": {"message": "no such model"}}), "no such model"),
        ((302, "http://127.0.0.1:9/v1"), "302"),
        ((200, {"choices": []}), "wanted a chat completion"),
        ((200, "not an object"), "wanted a chat completion"),
    ],
    ids=["key", "model", "redirect", "nothing", "text"],
)
def test_a_teacher_that_refuses_ends_the_run_with_its_words(tmp_path, teacher, collection, trouble, words):
    teacher.trouble = lambda number, asked: trouble
    _, said = refused(tmp_path, collection, asking(teacher.url))
    assert said.startswith("TEACHER_REFUSED: ")
    assert words in said
    assert len(teacher.asked) <= 8, "nothing is asked again"


def test_a_query_that_gets_an_empty_answer_has_no_expansion(tmp_path, teacher, collection):
    queries = files.read_queries(collection["queries"])
    teacher.trouble = lambda number, asked: (200, completion(None, 5, 0)) if queries[0].text in asked.prompt else None
    context, run = expanded(tmp_path, collection, asking(teacher.url))
    result = run()
    assert result["emptyAnswers"] == 2
    assert queries[0].id not in files.read_expansions(context.saved["expansions.jsonl"][1])
    assert len(result["warnings"]) == 1


def test_a_secret_goes_to_the_address_that_it_is_meant_for_and_to_no_other(tmp_path, teacher, collection, monkeypatch):
    monkeypatch.setenv("ASSAY_TEACHER_LAB", "the key")
    monkeypatch.setenv("ASSAY_TEACHER_LAB_URL", f"{teacher.url}/")
    _, run = expanded(tmp_path, collection, asking(teacher.url, secretEnv="ASSAY_TEACHER_LAB"))
    run()
    assert {asked.authorization for asked in teacher.asked} == {"Bearer the key"}
    monkeypatch.setenv("ASSAY_TEACHER_LAB_URL", "https://lab.example/v1")
    before = len(teacher.asked)
    for name, words in (
        ("ASSAY_TEACHER_LAB", "wanted the address that ASSAY_TEACHER_LAB is meant for"),
        ("ASSAY_TEACHER_OTHER", "wanted ASSAY_TEACHER_OTHER and ASSAY_TEACHER_OTHER_URL in the pod's environment"),
        ("PATH", "wanted a secret whose name begins with ASSAY_TEACHER_, got 'PATH'"),
    ):
        _, said = refused(tmp_path, collection, asking(teacher.url, secretEnv=name))
        assert said.startswith(f"TEACHER_REFUSED: {words}")
        assert "the key" not in said
    assert len(teacher.asked) == before


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http:///v1"])
def test_no_address_is_asked_that_hands_out_credentials(tmp_path, collection, url):
    _, said = refused(tmp_path, collection, asking(url))
    assert said.startswith("TEACHER_REFUSED: wanted")


def test_whoever_runs_the_pod_may_name_the_hosts(tmp_path, teacher, collection, monkeypatch):
    monkeypatch.setenv("ASSAY_TEACHER_HOSTS", "lab.example, other.example")
    _, said = refused(tmp_path, collection, asking(teacher.url))
    assert said == "TEACHER_REFUSED: wanted a host that ASSAY_TEACHER_HOSTS names, got '127.0.0.1'"
    monkeypatch.setenv("ASSAY_TEACHER_HOSTS", "lab.example, 127.0.0.1")
    assert expanded(tmp_path, collection, asking(teacher.url))[1]()["answers"] == 40


def test_a_prompt_without_a_place_for_the_query_is_refused(tmp_path, teacher, collection):
    _, said = refused(tmp_path, collection, asking(teacher.url, prompt="Write something"))
    assert said == "TEACHER_REFUSED: wanted a prompt with {query} in it, got 'Write something'"


def test_a_model_that_answers_with_the_relevant_document_of_a_test_query_leaks(tmp_path, teacher, collection):
    by_id = {document.id: document.text for document in files.read_corpus(collection["corpus"])}
    qrels = files.read_qrels(collection["qrels"])
    query = next(query for query in files.read_queries(collection["queries"]) if query.split == "test")
    stolen = by_id[next(iter(qrels[query.id]))]
    teacher.trouble = lambda number, asked: (200, completion(f"I know it: {stolen}", 5, 9)) if query.text in asked.prompt else None
    _, said = refused(tmp_path, collection, asking(teacher.url))
    assert said.startswith("EXPANSION_LEAKS")


def test_a_local_model_writes_the_same_texts_again_and_counts_what_it_read_and_wrote(tmp_path, collection, tiny_model):
    model = {"digest": folder_digest(tiny_model), "source": {"kind": "PATH", "path": str(tiny_model)}}
    wish = {"kind": "LOCAL", "model": model, "prompt": "Explain {query}", "samples": 1, "temperature": 0, "maxTokens": 6}
    one, run = expanded(tmp_path / "one", collection, wish)
    result = run()
    two, run = expanded(tmp_path / "two", collection, wish)
    run()
    written = one.saved["expansions.jsonl"][1].read_bytes()
    assert written == two.saved["expansions.jsonl"][1].read_bytes()
    assert result["answers"] == len(one.answers) == 20
    assert all(read > 0 and 1 <= made <= 6 for read, made in one.answers)
    drawn, run = expanded(tmp_path / "three", collection, wish | {"temperature": 1.5, "samples": 2})
    run()
    samples = files.read_expansions(drawn.saved["expansions.jsonl"][1])
    assert any(len({sample.text for sample in found}) == 2 for found in samples.values())
