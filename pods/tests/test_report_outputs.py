"""The forms of the report: a page that loads nothing, Markdown, lm-eval results, and all items in one file."""

import json
import re
from html.parser import HTMLParser

import pytest

from assay_pods.robustness.report import answer, write_report
from assay_pods.robustness.report_markdown import plain
from tests import planted

ATTACK = '<script>alert("x")</script><img src=http://example.org/x onerror=y> | `a` [b](c)'
FA, DN = "FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS"
EFFECTS = {("DPO", 0.9): 6.0, ("DPO", 1.0): 8.0}
MODEL = planted.model(4.0, lambda method, rate: EFFECTS.get((method, rate), 0.02))
VOID = {"meta"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    planned = planted.spec(name=ATTACK, families=(("MATH_REASONING", FA), ("MATH_REASONING", DN)))
    planned["model"]["source"] = {"kind": "PATH", "path": ATTACK}
    context = planted.context(folder, planned, MODEL)
    result = json.loads(context.inputs["result:2"].read_text())
    context.inputs["result:2"].write_text(json.dumps(result | {"warnings": [ATTACK]}))
    document = write_report(context)
    return document, {name: path.read_text() for name, (_, path) in context.saved.items()}, context


class Page(HTMLParser):
    """Keeps the elements of a page, and fails where they are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_runs_nothing_and_loads_nothing_whatever_names_hold(written):
    text = written[1]["report.html"]
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert tags & {"script", "img", "link", "iframe", "object", "embed", "form", "a", "base"} == set()
    assert "<script" not in text.lower()
    assert ATTACK in "".join(page.words)
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("src", "href", "action") for name in attributes)
    policy = next(attributes for tag, attributes in page.elements if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_every_plot_has_a_title_a_description_and_a_table_beside_it(written):
    page = Page(written[1]["report.html"])
    plots = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("role") == "img"]
    assert len(plots) == 6  # gap, what suffers and worst group, for each of two families
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for one in plots:
        assert set(one["aria-labelledby"].split()) <= set(ids)
    captions = " ".join(page.words)
    for words in ("Accuracy by group, test items", "Gaps and worst group", "Verdicts"):
        assert captions.count(words) == 2
    assert {"main", "h1", "caption"} <= {tag for tag, _ in page.elements}


def test_markdown_shows_names_as_text(written):
    text = written[1]["report.md"]
    assert "<script>" not in text
    assert "\\[b\\](c)" in text
    assert "## MATH\\_REASONING x FEATURE\\_AMBIGUITY" in text
    assert plain("a|b\n# <x>") == "a\\|b &#35; &lt;x&gt;"
    rows = [line for line in text.splitlines() if line.startswith("| DPO | 0.9 |")]
    assert len(rows) >= 6


def test_lm_eval_results_name_every_figure_with_its_standard_error(written):
    document, texts, _ = written
    found = json.loads(texts["lm-eval.json"])
    assert {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples"} <= found.keys()
    name = "assay/math_reasoning/feature_ambiguity/dpo/rho0.9"
    cell = next(one for one in document["cells"] if (one["artifact"], one["method"], one["spuriousness"]) == (FA, "DPO", 0.9))
    result = found["results"][name]
    assert result["acc,conflicting"] == cell["groups"]["conflicting"]["value"]
    width = cell["groups"]["conflicting"]["high"] - cell["groups"]["conflicting"]["low"]
    assert result["acc_stderr,conflicting"] == pytest.approx(width / 2 / 1.959964, rel=1e-5)
    for values in found["results"].values():
        metrics = [key for key in values if key != "alias" and "_stderr," not in key]
        assert all(key.replace(",", "_stderr,") in values for key in metrics)
    assert found["higher_is_better"][name] == {
        "acc": True,
        "controlAdjustedGap": False,
        "gap": False,
        "reliance": False,
        "worstGroup": True,
    }
    assert found["n-samples"][name] == {"original": 60, "effective": 60}
    assert found["configs"][name]["metadata"]["verdict"] == "MEASURED"
    assert len(found["results"]) == len(document["cells"]) + len(document["base"])


def test_the_export_holds_every_item_of_every_cell_once(written):
    document, texts, context = written
    lines = [json.loads(line) for line in texts["items-export.jsonl"].splitlines()]
    given = [path for name, path in context.inputs.items() if name.startswith("items:")]
    assert len(lines) == sum(len(path.read_text().splitlines()) for path in given)
    keys = {
        (*(str(value) for value in one["cell"].values()), one["item"]["split"], one["item"]["itemKey"], one["item"]["relation"])
        for one in lines
    }
    assert len(keys) == len(lines)
    assert {one["cell"]["artifact"] for one in lines} == {FA, DN}


def test_a_report_too_long_for_a_message_answers_with_its_head(written):
    document = written[0]
    assert answer(document) == document
    short = answer(document | {"caveats": ["x" * 3_000_000]})
    assert short["shortened"] is True
    assert short["families"] == document["families"]
    assert len(json.dumps(short)) < 100_000


def test_numbers_of_the_page_are_those_of_the_document(written):
    document, texts, _ = written
    cell = next(one for one in document["cells"] if (one["artifact"], one["method"], one["spuriousness"]) == (FA, "DPO", 0.9))
    shown = re.search(r">DPO</th><td>0\.9</td><td>([^<]*)</td>", texts["report.html"].split("Gaps and worst group")[2])
    assert shown is not None
    assert shown.group(1).startswith(f"{cell['gap']['value']:.2f}".lstrip("0"))
