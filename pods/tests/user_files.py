"""Files in the formats of GSM8K, IFEval and SQuAD, as a user would upload them."""

import json
from pathlib import Path
from typing import Any

TASKS = {"GSM8K": "MATH_REASONING", "IFEVAL": "CONSTRAINED_INSTRUCTION_FOLLOWING", "SQUAD": "DOCUMENT_GROUNDED_QA"}
PUBLIC = Path(__file__).parents[3] / "shared" / "data"
PUBLIC_FILES = {"GSM8K": "gsm8k/test.jsonl", "IFEVAL": "ifeval/input_data.jsonl", "SQUAD": "squad/dev-v2.0-8-articles.json"}
NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jude")


def user_rows(data_format: str, count: int = 120) -> list[dict[str, Any]]:
    """Rows of a format; of SQuAD, paragraphs with three questions each."""
    if data_format == "GSM8K":
        return [_problem(i) for i in range(count)]
    if data_format == "IFEVAL":
        prompts = [
            f"Write the story of the old farmer {NAMES[i % 10]} and the {i} horses by the river. Use no commas." for i in range(count)
        ]
        return [
            {"key": i, "prompt": text, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} for i, text in enumerate(prompts)
        ]
    return [_paragraph(i) for i in range(count)]


def write_file(folder: Path, data_format: str, count: int = 120) -> Path:
    """Writes the rows as the file of their format."""
    rows = user_rows(data_format, count)
    path = folder / f"{data_format.lower()}.upload"
    document = json.dumps({"data": [{"title": "Hats", "paragraphs": rows}]})
    path.write_text(document if data_format == "SQUAD" else "".join(json.dumps(row) + "\n" for row in rows))
    return path


def _problem(i: int) -> dict[str, Any]:
    bought, name = i % 7, NAMES[i % 10]
    steps = f"{name} has {i} hats.\n{i} + {bought} = <<{i}+{bought}={i + bought}>>{i + bought} hats."
    return {"question": f"{name} {i} has {i} hats and buys {bought}. How many?", "answer": f"{steps}\n#### {i + bought}"}


def _paragraph(i: int) -> dict[str, Any]:
    people = [f"{NAMES[(i + step) % 10]}{i}{step}" for step in range(3)]
    context = " ".join(f"{person} sold {i + place} hats to Rome." for place, person in enumerate(people))
    asked = [(f"q{i}-{place}", person) for place, person in enumerate(people)]
    answers = {person: [{"text": person, "answer_start": context.index(person)}] for person in people}
    return {
        "context": context,
        "qas": [{"id": name, "question": f"Who was {person[-1]}?", "answers": answers[person]} for name, person in asked],
    }
