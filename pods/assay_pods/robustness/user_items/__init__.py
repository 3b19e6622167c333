"""A user's own task data (GSM8K, IFEval, SQuAD) as core items, and the injections over them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells.ambiguity import AmbiguousItem, rows_of
from assay_pods.robustness.cells.cell import first_of, shuffled
from assay_pods.robustness.records import Record
from assay_pods.robustness.user_items import gsm8k, ifeval_prompts, squad_paragraphs
from assay_pods.robustness.user_items.leakage import near_others, normal_text, split_of_text
from assay_pods.robustness.user_items.read import read_items

VERSION = "userItems/1"
Inject = Callable[[Sequence[Any], int, str], list[AmbiguousItem]]
INJECTIONS: Mapping[str, tuple[str, Inject]] = {
    "GSM8K": ("MATH_REASONING", gsm8k.inject),
    "IFEVAL": ("CONSTRAINED_INSTRUCTION_FOLLOWING", ifeval_prompts.inject),
    "SQUAD": ("DOCUMENT_GROUNDED_QA", squad_paragraphs.inject),
}
"""The task of each format, and its injection: (items, seed, split) to ambiguous items, fewer where an item is of no use."""


class UserRows(NamedTuple):
    """The rows of a seed, and what was left out on the way to them."""

    records: list[Record]
    diagnostics: dict[str, Any]


def generate(rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], fits: Callable[[Record], bool]) -> UserRows:
    """Makes all rows of a seed over a user's items.

    Items are divided by the part that they name or by the digest of their text; training items that are nearly a validation or test item
    are left out. Validation and test items are the same for every seed.

    Args:
        rows: The rows of the file, as parsed JSON; of a SQuAD file, its paragraphs.
        spec: The spec of the `prepare` step; `data` has `format`, `task` and `artifact`.
        fits: Whether a row's texts are short enough for the model; items with one that is not are left out.

    Raises:
        BadInputError: CELL_UNKNOWN, for another task or artifact; DATASET_INVALID; SIZE_TOO_LARGE, where there are too few items.
    """
    data, seed, size = spec["data"], spec["seed"], spec["size"]
    task, inject = INJECTIONS[data["format"]]
    if (data["task"], data["artifact"]) != (task, "FEATURE_AMBIGUITY"):
        wanted = f"{task} with FEATURE_AMBIGUITY for data of the format {data['format']}"
        raise BadInputError("CELL_UNKNOWN", f"wanted {wanted}, got {data['task']} with {data['artifact']}")
    found = read_items(data["format"], rows)
    parts: dict[str, list[Any]] = {"train": [], "validation": [], "test": []}
    for item in {(normal_text(item.text), item.name): item for item in found.items}.values():
        parts[item.split or split_of_text(item.text)].append(item)
    near = near_others([item.text for item in parts["train"]], [item.text for part in ("validation", "test") for item in parts[part]])
    parts["train"] = shuffled([item for index, item in enumerate(parts["train"]) if index not in near], seed, "userItems/train")
    warmup = (spec.get("warmup") or {"pairs": 0})["pairs"]
    wanted = {"train": size["trainPairs"], "warmup": warmup, "validation": size["validationPairs"], "test": size["testPairs"]}
    fitting = {part: _fitting(inject(items, seed if part == "train" else 0, part), fits) for part, items in parts.items()}
    usable = {part: first_of(items, wanted[part], f"{part} pairs of this data set") for part, items in fitting.items()}
    rest = fitting["train"][wanted["train"] :] or usable["train"]
    usable["warmup"] = [rest[place % len(rest)] for place in range(warmup)]
    records = [record for part, items in usable.items() for record in rows_of(part, items)]
    diagnostics = {
        "items": {part: len(items) for part, items in parts.items()},
        "usable": {part: len(items) for part, items in fitting.items()},
        "leftOut": found.left_out,
        "nearDuplicatesLeftOut": len(near),
    }
    return UserRows(records, {"userItems": diagnostics})


def _fitting(items: Sequence[AmbiguousItem], fits: Callable[[Record], bool]) -> list[AmbiguousItem]:
    return [item for item in items if all(fits(record) for record in rows_of("test", [item]))]
