"""Writes the verdicts of the reference implementations that tests/data/ifeval_verdicts.json and squad_verdicts.json hold. Run by hand:

    python -m venv reference && reference/bin/pip install if-verifiable==0.1.2 langdetect==1.0.9 nltk==3.9.2
    reference/bin/pip download --no-deps transformers==4.57.1 && unzip transformers-*.whl 'transformers/data/metrics/squad_metrics.py'
    reference/bin/python pods/tests/make_reference_verdicts.py transformers/data/metrics/squad_metrics.py

The IFEval verdicts are those of if-verifiable's INSTRUCTION_DICT, with the language detector's seed fixed. The SQuAD scores are those of
`compute_exact` and `compute_f1`, the functions of the official script for version 2.0, taken from transformers.
"""

import collections
import json
import random
import re
import string
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
WORDS = ("the", "a", "An", "sea", "SEA", "St.", "waves", "roll", "über", "1,000", "it's", "we", "P.S.", "end.", "x_1", "½", "日本")
PIECES: dict[str, tuple[str, ...]] = {
    "detectable_format:number_bullet_lists": ("*", "* ", "-", " ", "\n", "\n\n", "a", "** b", "\t", "- c", "\u2028", "\x0b"),
    "detectable_format:number_highlighted_sections": ("*", "**", "a", " ", "\n", "b c"),
    "detectable_format:multiple_sections": ("Section", "SECTION", " ", "\n", "1", "23", "x"),
    "detectable_format:json_format": ('{"a": 1}', "```json", "```", "\n", "[1, NaN]", "{", "}", " ", "null", '"x"', "```JSON", "1"),
    "detectable_format:title": ("<<", ">>", "<", ">", "a title", " ", "\n"),
    "detectable_content:number_placeholders": ("[", "]", "name", " ", "\n"),
    "detectable_content:postscript": ("P.S.", "P. S.", "p.s", "P.P.S", "p. p. s", "\n", " ", "note", "Note:"),
    "length_constraints:number_paragraphs": ("***", "*", " ", "\n", "text", "\n\n"),
    "length_constraints:nth_paragraph_first_word": ("sea", "Sea,", "'sea", '"Sea', "\n\n", "\n", " ", "other", "s.ea"),
    "combination:two_responses": ("******", "***", "a", "b", " ", "\n"),
    "combination:repeat_prompt": ("Write a line.", "write a LINE.", " ", "\n", "Yes", "*"),
    "startend:end_checker": ("That is all!", "that is ALL!", '"', " ", "\n", "x"),
    "startend:quotation": ('"', "a", " ", "\n", "\u201c"),
    "keywords:letter_frequency": ("a", "A", "b", "\n", "*", "á", "aaa"),
    "detectable_format:constrained_response": ("My answer is yes.", "My answer is no.", "my answer is maybe.", " ", "\n", "*", "no"),
}
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "change_case:english_lowercase": [{}],
    "change_case:english_capital": [{}],
    "language:response_language": [{"language": "en"}, {"language": "de"}],
    "punctuation:no_comma": [{}],
    "keywords:existence": [{"keywords": ["sea"]}, {"keywords": ["the", "über"]}],
    "keywords:frequency": [{"keyword": "sea", "frequency": n, "relation": r} for n in (1, 2) for r in ("less than", "at least")],
    "keywords:forbidden_words": [{"forbidden_words": ["sea"]}, {"forbidden_words": ["we", "x_1"]}, {"forbidden_words": ["it's"]}],
    "keywords:letter_frequency": [
        {"letter": "a", "let_frequency": n, "let_relation": r} for n in (2, 5) for r in ("less than", "at least")
    ],
    "length_constraints:number_words": [{"num_words": n, "relation": r} for n in (4, 7) for r in ("less than", "at least")],
    "length_constraints:nth_paragraph_first_word": [
        {"num_paragraphs": n, "nth_paragraph": k, "first_word": "sea"} for n, k in ((1, 1), (2, 1), (2, 2))
    ],
    "startend:end_checker": [{"end_phrase": "That is all!"}],
    "startend:quotation": [{}],
    "combination:repeat_prompt": [{"prompt_to_repeat": "Write a line."}],
    "detectable_format:constrained_response": [{}],
    "detectable_format:number_bullet_lists": [{"num_bullets": n} for n in (0, 1, 2, 3)],
    "detectable_format:number_highlighted_sections": [{"num_highlights": n} for n in (1, 2)],
    "detectable_format:multiple_sections": [
        {"section_spliter": word, "num_sections": n} for word in ("Section", "SECTION") for n in (1, 2)
    ],
    "detectable_format:json_format": [{}],
    "detectable_format:title": [{}],
    "detectable_content:number_placeholders": [{"num_placeholders": n} for n in (1, 2)],
    "detectable_content:postscript": [{"postscript_marker": marker} for marker in ("P.S.", "P.P.S", "Note:")],
    "length_constraints:number_paragraphs": [{"num_paragraphs": n} for n in (1, 2, 3)],
    "combination:two_responses": [{}],
}
SENTENCES = (
    "the waves of the sea roll over the sand all day long.",
    "The streets of the city are loud in the evening.",
    "Die Wellen rollen den ganzen Tag über den Strand.",
    "les vagues de la mer roulent sur le sable toute la journée.",
    "12345 !!!",
    "",
    " \n ",
)
ANSWER_WORDS = ("the", "a", "An", "THE", "Paris", "paris", "São", "ÉTÉ", "10th", "“x”", "athe", "_a_", "İ", "'s", "x", "y")
ANSWER_GAPS = (" ", " ", "  ", "-", ", ", "\u00a0", "—", "\t", "")
TEXTS_PER_RULE = 90


def ifeval_rows() -> list[list[Any]]:
    """One row a text: id, arguments, text, strict verdict, loose verdict."""
    import langdetect  # pyright: ignore[reportMissingImports]
    from if_verifiable.common import get_loose_transformations  # pyright: ignore[reportMissingImports]
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT  # pyright: ignore[reportMissingImports]

    langdetect.DetectorFactory.seed = 0
    rows: list[list[Any]] = []
    for rule, arguments in ARGUMENTS.items():
        draw = random.Random(rule)
        for index in range(TEXTS_PER_RULE):
            kwargs = arguments[index % len(arguments)]
            text = _text(rule, index, draw)
            checker = INSTRUCTION_DICT[rule](rule)
            checker.build_description(**kwargs)
            strict = bool(text.strip()) and bool(checker.check_following(text))
            loose = any(form.strip() and checker.check_following(form) for form in get_loose_transformations(text))
            rows.append([rule, kwargs, text, strict, bool(loose)])
    return rows


def squad_rows(source: Path) -> list[list[Any]]:
    """One row a pair: text, answer, exact match, F1."""
    code = re.sub(r"from \.\.\..*", "", source.read_text().split("def get_raw_scores")[0]).replace(
        "logger = logging.get_logger(__name__)", ""
    )
    official: dict[str, Any] = {"collections": collections, "string": string, "re": re}
    exec(compile(code, str(source), "exec"), official)
    draw, rows = random.Random("squad"), []
    for _ in range(400):
        text, answer = (_answer(draw) for _ in range(2))
        answer = text.upper() + " the" if draw.random() < 0.2 else answer
        rows.append([text, answer, official["compute_exact"](answer, text), official["compute_f1"](answer, text)])
    return rows


def _answer(draw: random.Random) -> str:
    return "".join(draw.choice(ANSWER_WORDS) + draw.choice(ANSWER_GAPS) for _ in range(draw.randint(0, 6)))


def _text(rule: str, index: int, draw: random.Random) -> str:
    if index < len(SENTENCES):
        return SENTENCES[index]
    if rule in PIECES:
        return "".join(draw.choices(PIECES[rule], k=draw.randint(1, 9)))
    if rule.startswith(("change_case", "language")):
        sentence = draw.choice(SENTENCES[:5])
        return draw.choice((sentence, sentence.upper(), sentence.lower(), f"{sentence}\n{sentence.lower()}", f"**{sentence}**"))
    words = [draw.choice(WORDS) for _ in range(draw.randint(1, 9))]
    return "".join(word + draw.choice((" ", " ", "\n", ", ", "*")) for word in words)


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name, rows in (("ifeval", ifeval_rows()), ("squad", squad_rows(Path(sys.argv[1])))):
        lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
        (DATA / f"{name}_verdicts.json").write_text(f"[\n{lines}\n]\n")
