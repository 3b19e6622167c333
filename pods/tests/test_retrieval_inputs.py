import json

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import inputs
from assay_pods.retrieval.files import Document, Expansion, Query


def written(tmp_path, content):
    path = tmp_path / "upload"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(read, path):
    with pytest.raises(BadInputError) as wrong:
        list(read(path))
    assert wrong.value.code == "COLLECTION_INVALID"
    return str(wrong.value)


DOCUMENTS = [Document("d1", "A title and a text"), Document("d2", "only a text"), Document("d3", "")]
BEIR_CORPUS = """{"_id":"d1","title":"A title","text":" and a text","metadata":{}}
{"_id":"d2","title":null,"text":"only a text"}
{"id":"d3","text":""}"""
TREC_CORPUS = """<xml><DOC>
<DOCNO> d1 </DOCNO>
<TITLE>A title</TITLE>
<TEXT>and
a text</TEXT></DOC><DOC><docno>d2</docno>only a   text</DOC>
<DOC><DOCNO>d3</DOCNO></DOC></xml>"""


@pytest.mark.parametrize(
    "content",
    [
        BEIR_CORPUS,
        TREC_CORPUS,
        "d1\tA title\tand a text\nd2\t\tonly a text\nd3\t\t\n",
        "docid\turl\ttitle\ttext\nd1\thttp://x\tA title\tand a text\nd2\tu\t\tonly a text\nd3\tu\t\t\n",
        "d1\tA title and a text\nd2\tonly a text\nd3\t\n",
    ],
    ids=["beir", "trec", "columns", "ms-marco-documents", "ms-marco-passages"],
)
def test_a_corpus_reads_the_same_from_every_format_mark_and_line_end(tmp_path, content):
    assert list(inputs.documents(written(tmp_path, content))) == DOCUMENTS
    windows = "\ufeff" + content.rstrip("\n").replace("\n", "\r\n\r\n")
    assert list(inputs.documents(written(tmp_path, windows))) == DOCUMENTS


QUERIES = [Query("301", "International crime & law"), Query("302", "polio")]
TOPICS = """<top>
<num> Number: 301
<title> Topic: International crime &amp; law

<desc> Description: not read
</top>
<top><num>302</num><title>polio</title></top>"""


@pytest.mark.parametrize(
    "content",
    [
        '{"_id":"301","text":"International crime & law"}\n{"_id":"302","text":"polio"}\n',
        TOPICS,
        "qid\ttext\n301\tInternational crime & law\n302\tpolio",
    ],
    ids=["beir", "trec", "columns"],
)
def test_queries_read_the_same_from_every_format(tmp_path, content):
    assert list(inputs.queries(written(tmp_path, content))) == QUERIES


def test_a_query_may_name_its_group(tmp_path):
    [query] = inputs.queries(written(tmp_path, '{"_id":"q","text":"x\u2028y","group":"long"}'))
    assert query == Query("q", "x\u2028y", group="long")


@pytest.mark.parametrize(
    "content",
    [
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t-1\nq2\td1\t0\n",
        "q1 0 d1 2\r\nq1 0  d2 -1\r\nq2 0 d1 0\r\n",
        '{"query-id":"q1","corpus-id":"d1","score":2}\n{"query":"q1","document":"d2","relevance":-1}\n{"query":"q2","document":"d1","relevance":0.0}',
    ],
    ids=["beir", "trec", "json"],
)
def test_judgements_read_the_same_from_every_format_and_keep_their_codes(tmp_path, content):
    assert inputs.judgements(written(tmp_path, content)) == {"q1": {"d1": 2, "d2": -1}, "q2": {"d1": 0}}


def test_expansions_read_as_uploaded_and_in_the_layout_of_query2doc(tmp_path):
    rows = [
        {"query_id": "q1", "text": " one ", "provider": "my-model", "prompt_hash": "0a"},
        {"query_id": "q1", "text": "two"},
        {"query_id": "q2", "query": "asked", "pseudo_doc": "three"},
    ]
    found = list(inputs.expansions(written(tmp_path, "\n".join(map(json.dumps, rows)))))
    assert found == [
        Expansion("q1", "one", "my-model", "0a"),
        Expansion("q1", "two", "uploaded", ""),
        Expansion("q2", "three", "query2doc", ""),
    ]


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (
            inputs.documents,
            '{"_id":"a b","text":"x"}',
            "corpus, line 1: wanted an id (_id or id) of 1 to 512 characters without blanks, got 'a b'",
        ),
        (inputs.documents, '{"_id":"a","text":"x"}\n\n{"_id":"a","text":"y"}', "corpus, line 3: wanted each id once, got 'a'"),
        (inputs.documents, '{"_id":"a"}', "line 1: wanted a text under 'text', got 'None'"),
        (inputs.documents, '{"_id":"a","text":"x"}\n[1]', "line 2: wanted one JSON object a line"),
        (inputs.documents, b'{"_id":"a","text":"\xff"}', "line 1: wanted UTF-8"),
        (inputs.documents, "a\tx\nb\tx\ty", "line 2: wanted id and text"),
        (inputs.documents, "a", "line 1: wanted id and text or id, title and text"),
        (inputs.documents, "  \n", "wanted rows"),
        (inputs.documents, "<DOC><DOCNO>1</DOCNO>\n<DOC>", "line 2: wanted <doc> before </doc>, and each closed"),
        (inputs.documents, "<DOC><DOCNO>1</DOCNO>\ntext", "line 1: wanted </doc> at the end"),
        (inputs.documents, "<DOC><DOCNO>1</DOCNO></DOC> stray", "line 1: wanted text within elements, got 'stray'"),
        (inputs.documents, "<DOC>no name</DOC>", "line 1: wanted one <docno> in each element, got '0 of them'"),
        (inputs.queries, "<top><num>1</top>", "wanted one <title> in each element"),
        (inputs.queries, "q1\tone\nq2\t ", "queries, line 2: wanted a query with a text"),
        (inputs.judgements, "q1 0 d1 1\nq1 0 d1 0", "qrels, line 2: wanted each query and document judged once, got 'q1 d1'"),
        (inputs.judgements, "q1\td1\t1\nq1\td2\t1.5", "line 2: wanted a relevance code, an integer from -1000 to 1000, got '1.5'"),
        (inputs.judgements, "q1 d1 1\nq1 d2 5000", "line 2: wanted a relevance code"),
        (inputs.judgements, '{"query-id":"q","corpus-id":"d","score":true}', "line 1: wanted a relevance code"),
        (inputs.expansions, '{"query_id":"q1","text":""}', "expansions, line 1: wanted an expansion with a text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_file_line_and_what_was_wanted(tmp_path, read, content, said):
    assert said in refusal(read, written(tmp_path, content))
