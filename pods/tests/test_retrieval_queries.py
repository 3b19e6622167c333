import json

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import files, splits
from tests.retrieval_collect import collect

COLLECTION = {"kind": "UPLOADED", "corpus": "0" * 64, "queries": "0" * 64, "qrels": "0" * 64, "qrelsTrain": None, "qrelsDev": None}
CORPUS = "".join(f"d{number}\ttext of the document {number} about subject {number}\n" for number in range(40))
QUERIES = "".join(f"q{number}\twhere is subject {number}\n" for number in range(40))
QRELS = "".join(f"q{number} 0 d{number} 1\n" for number in range(40))


def made(tmp_path, split=None, gains=None, expansion=None, **contents):
    uploads = {}
    for name, content in ({"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS} | contents).items():
        path = tmp_path / f"{name.replace('_', '-')}.upload"
        path.write_text(content)
        uploads[name.replace("_", "-")] = path
    changes = {"collection": COLLECTION, "relevance": {"gains": gains}, "expansion": expansion}
    return collect(tmp_path, uploads, **changes, **({"split": split} if split else {}))


def refused(tmp_path, **options):
    with pytest.raises(BadInputError) as wrong:
        made(tmp_path, **options)
    return f"{wrong.value.code}: {wrong.value}"


def test_uploads_become_one_form_and_what_does_not_fit_is_counted(tmp_path):
    paths, results = made(
        tmp_path,
        corpus=CORPUS + "d40\t\n",
        queries=QUERIES + "unjudged\ta query\n",
        qrels=QRELS + "q0 0 gone 1\nq1 0 d5 0\nnowhere 0 d1 1\n",
    )
    assert files.read_corpus(paths["corpus"])[3] == files.Document("d3", "text of the document 3 about subject 3")
    assert results["corpus"]["documents"] == 41
    assert results["corpus"]["withoutText"] == 1
    found = results["queries"]
    assert (found["queries"], found["unjudged"]) == (40, 1)
    assert found["judgedDocumentsMissing"] == {"count": 1, "some": ["gone"]}
    assert found["judgedQueriesMissing"] == {"count": 1, "some": ["nowhere"]}
    assert found["codes"] == [{"code": 0, "judgements": 1}, {"code": 1, "judgements": 41}]
    assert len(found["warnings"]) == 3
    qrels = files.read_qrels(paths["qrels"])
    assert qrels["q0"] == {"d0": 1, "gone": 1}
    assert "nowhere" not in qrels
    assert {query.split for query in files.read_queries(paths["queries"])} == {"train", "dev", "test"}


def test_a_negative_code_is_refused_until_somebody_says_what_it_means(tmp_path):
    negative = QRELS + "q0 0 d1 -1\nq1 0 d2 -1\n"
    (tmp_path / "refused").mkdir()
    said = refused(tmp_path / "refused", qrels=negative)
    assert said == "QRELS_NEGATIVE: wanted relevance from 0 up, got -1 (2 times): say what these codes mean with relevance.gains"
    (tmp_path / "gains").mkdir()
    paths, results = made(tmp_path / "gains", qrels=negative, gains=[{"code": -1, "gain": 3}, {"code": 4, "gain": 1}])
    assert files.read_qrels(paths["qrels"])["q0"] == {"d0": 1, "d1": 3}
    assert results["queries"]["warnings"] == [
        "code 1 is worth 1, less than code -1 with 3",
        "no judgement has the code 4, for which a gain is declared",
    ]
    (tmp_path / "below").mkdir()
    assert "QRELS_NEGATIVE" in refused(tmp_path / "below", qrels=negative, gains=[{"code": -1, "gain": -1}])


def test_given_parts_come_from_the_files_of_judgements_and_an_overlap_is_refused_with_its_count(tmp_path):
    rows = QRELS.splitlines(keepends=True)
    given = {"split": {"kind": "GIVEN"}, "qrels": "".join(rows[:10]), "qrels_train": "".join(rows[10:30]), "qrels_dev": "".join(rows[30:])}
    for name in ("fits", "id", "text"):
        (tmp_path / name).mkdir()
    paths, _ = made(tmp_path / "fits", **given)
    lists = splits.parts(files.read_queries(paths["queries"]))
    assert [len(part) for part in lists] == [20, 10, 10]
    assert lists.test[0].id == "q0"
    said = refused(tmp_path / "id", **given | {"qrels_train": "".join(rows[8:30])})
    assert said.startswith("QUERIES_OVERLAP: wanted each query judged in one part, got 2 that qrels shares with train")
    said = refused(tmp_path / "text", **given, queries=QUERIES.replace("where is subject 3\n", "Where is subject 12?\n"))
    assert "QUERIES_OVERLAP: wanted test queries that training never sees, got 1 with the id or the text of a training query: 'q3'" in said


def test_a_collection_whose_parts_do_not_meet_is_refused(tmp_path):
    for name in ("documents", "queries", "texts"):
        (tmp_path / name).mkdir()
    assert "wanted relevant documents that are in the corpus, got none of 40" in refused(tmp_path / "documents", corpus="x\ta text\n")
    assert "wanted queries with judgements, got none of 1" in refused(tmp_path / "queries", queries="x\ta query\n")
    assert "wanted documents with text, got none of 1" in refused(tmp_path / "texts", corpus="d1\t\n")


def test_prf_expands_with_what_bm25_finds_and_never_with_the_query_itself(tmp_path):
    paths, results = made(
        tmp_path, expansion={"kind": "PRF", "documents": 1, "words": 4}, queries=QUERIES.replace("where is subject 7\n", "unheard\n")
    )
    expansions = files.read_expansions(paths["expansions"])
    assert len(expansions) == 39
    assert [(found.text, found.provider) for found in expansions["q3"]] == [("text of the document", "prf")]
    assert "q7" not in expansions
    [warning] = results["expand"]["warnings"]
    assert warning.endswith("have no expansion and are treated as they are")


def test_relevant_documents_expand_training_queries_alone(tmp_path):
    paths, _ = made(tmp_path, expansion={"kind": "RELEVANT_DOCUMENT"})
    lists = splits.parts(files.read_queries(paths["queries"]))
    expansions = files.read_expansions(paths["expansions"])
    assert set(expansions) == {query.id for query in lists.train}
    assert all(found.text.startswith(f"text of the document {query[1:]} ") for query, [found] in expansions.items())
    (tmp_path / "folds").mkdir()
    split = {"kind": "CROSS_FIT", "folds": 5, "dev": 0.15}
    assert "EXPANSION_LEAKS" in refused(tmp_path / "folds", expansion={"kind": "RELEVANT_DOCUMENT"}, split=split)


def uploaded(texts):
    return {"expansion": {"kind": "UPLOADED", "digest": "0" * 64}, "expansions": "\n".join(map(json.dumps, texts))}


def test_an_uploaded_expansion_that_holds_the_relevant_document_of_a_test_query_is_refused(tmp_path):
    for name in ("honest", "leak", "named"):
        (tmp_path / name).mkdir()
    texts = [{"query_id": f"q{number}", "text": f"subject {number} lies in the north"} for number in range(40)]
    paths, results = made(tmp_path / "honest", **uploaded([*texts, {"query_id": "q1", "text": "a second"}, {"query_id": "x", "text": "y"}]))
    assert [found.text for found in files.read_expansions(paths["expansions"])["q1"]] == ["subject 1 lies in the north", "a second"]
    assert results["expand"]["ofOtherQueries"] == 1
    tested = splits.parts(files.read_queries(paths["queries"])).test[0].id
    leak = {"query_id": tested, "text": f"It says: Text of the  document {tested[1:]}, about SUBJECT {tested[1:]}!"}
    said = refused(tmp_path / "leak", **uploaded([*texts, leak]))
    assert said.startswith(
        "EXPANSION_LEAKS: wanted expansions that do not hold what is searched for, got a relevant document in those of 1 queries"
    )
    named = {"query_id": tested, "text": "anything", "provider": "relevant-document"}
    assert "EXPANSION_LEAKS" in refused(tmp_path / "named", **uploaded([*texts, named]))


def test_expansions_that_no_training_query_has_are_missing(tmp_path):
    for name in ("others", "planted"):
        (tmp_path / name).mkdir()
    assert "EXPANSION_MISSING" in refused(tmp_path / "others", **uploaded([{"query_id": "x", "text": "y"}]))
    assert "EXPANSION_MISSING" in refused(tmp_path / "planted", expansion={"kind": "PLANTED"})
