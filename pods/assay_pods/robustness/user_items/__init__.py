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
Inject = Callable[[Sequence[Any], int, str, str], list[AmbiguousItem]]
INJECTIONS: Mapping[str, tuple[str, Inject]] = {
    "GSM8K": ("MATH_REASONING", gsm8k.inject),
    "IFEVAL": ("CONSTRAINED_INSTRUCTION_FOLLOWING", ifeval_prompts.inject),
    "SQUAD": ("DOCUMENT_GROUNDED_QA", squad_paragraphs.inject),
}
"""The task of each format, and its injection: (items, seed, split, core) to ambiguous items, fewer where an item is of no use."""


class Length(NamedTuple):
    """Tokens of a row's prompt and of its longer completion."""

    prompt: int
    completion: int


class Room(NamedTuple):
    """How long texts may be."""

    measure: Callable[[Record], Length | None]
    """Gives the length of a row; None for one that is too long by itself."""
    tokens_max: int
    """Of a prompt and a completion together."""


class UserRows(NamedTuple):
    """The rows of a seed, and what was left out on the way to them."""

    records: list[Record]
    diagnostics: dict[str, Any]


def generate(rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], room: Room) -> UserRows:
    """Makes all rows of a seed over a user's items.

    Items are divided by the part that they name or by the digest of their text; training items that are nearly a validation or test item
    are left out. Validation and test items are the same for every seed.

    Args:
        rows: The rows of the file, as parsed JSON; of a SQuAD file, its paragraphs.
        spec: The spec of the `prepare` step; `data` has `format`, `task`, `artifact` and `core`.
        room: How long texts may be; items with a longer one are left out.

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
    core = data.get("core", "LAPTOP")
    fitting = {part: _fitting(inject(items, seed if part == "train" else 0, part, core), room) for part, items in parts.items()}
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


def _fitting(items: Sequence[AmbiguousItem], room: Room) -> list[AmbiguousItem]:
    """The items whose prompts leave room for their own completions and for those of every other item.

    KTO sets completions after another item's prompt, and so do the questions without their own prompt.
    """
    measured = [(item, [room.measure(record) for record in rows_of("test", [item])]) for item in items]
    short = [(item, [length for length in lengths if length]) for item, lengths in measured if None not in lengths]
    longest = max((length.completion for _, lengths in short for length in lengths), default=0)
    return [item for item, lengths in short if all(length.prompt + longest <= room.tokens_max for length in lengths)]
