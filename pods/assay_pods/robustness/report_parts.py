"""What every form of the report shares: the entries of one family, the heading, and how figures and names are written."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


class Part:
    """The entries of one family."""

    def __init__(self, document: Document, family: Document) -> None:
        """Keep the document and which family is meant."""
        self.document, self.family = document, family

    def of(self, name: str) -> list[Document]:
        """The entries of a list that belong to the family."""
        key = (self.family["task"], self.family["artifact"])
        return [one for one in self.document[name] if (one["task"], one["artifact"]) == key]

    @property
    def narrow(self) -> bool:
        """Whether the artifact is distributional narrowness."""
        return self.family["artifact"] == "DISTRIBUTIONAL_NARROWNESS"

    @property
    def columns(self) -> tuple[str, ...]:
        """Which groups a table shows."""
        return ("inSlice", "outSlice", "unseenSlice") if self.narrow else ("aligned", "conflicting", "neutral")


def method_of(entry: Document) -> str:
    """The method with what tells the entry from its neighbours."""
    variant = "" if entry.get("variant") is None else f" {' '.join(str(value) for value in entry['variant'].values())}"
    learning = "" if entry.get("learningRate") is None else f" lr {entry['learningRate']:g}"
    return f"{entry['method'].lower() if entry['method'] in ('BASE', 'START') else entry['method']}{variant}{learning}"


def rate_of(entry: Document) -> str:
    """The rate, or a dash."""
    return "-" if entry.get("spuriousness") is None else f"{entry['spuriousness']:g}"


def heading_lines(document: Document) -> list[str]:
    """What ran: name, model, data, trainer, seeds."""
    source, trainer, data = document["model"]["source"], document["trainer"], document["data"]
    model = " ".join(str(value) for key, value in sorted(source.items()) if key != "kind")
    complete = "complete" if document["complete"] else f"INCOMPLETE: {len(document['missingCells'])} runs without a full result"
    named = data.get("core") or (str(data["digest"])[:12] if data.get("digest") else "")
    return [
        f"Robustness: {document['name']} ({complete})",
        f"model    {model} (sha256 {document['model']['digest'][:12]})",
        f"data     {data.get('kind', '')} {named}, rate as {str(data['rateMode']).lower()}; {_sizes(data)}",
        f"trainer  {trainer['kind']}, {trainer.get('epochs')} epochs, {trainer.get('promptsPerStep')} prompts a step,"
        f" beta {trainer.get('beta')}, {trainer.get('precision')}, learning rate {_learning_rates(document)}",
        f"seeds    {', '.join(map(str, document['seeds']))}; intervals {document['statistics']['confidence']:.0%} over"
        f" {document['statistics']['intervalsOver']}",
    ]


def _sizes(data: Document) -> str:
    """What was asked of the generated cell, or what the first seed found in the rows that a client gave."""
    size = data["size"]
    if data.get("kind") != "UPLOADED":
        pairs = ", ".join(f"{size[f'{split}Pairs']} {split}" for split in ("train", "validation", "test"))
        return f"{pairs} pairs; {size['generationItems']} generated texts a run"
    found = data["prepared"][0].get("records") if data["prepared"] else None
    return "sizes not known" if found is None else ", ".join(f"{found[split]} {split}" for split in found) + " rows"


def _learning_rates(document: Document) -> str:
    """One where all planned methods have the same, else each method's own."""
    rates: dict[str, set[float]] = {}
    for cell in document["cells"]:
        told = [one for one in (cell["learningRate"], *cell["learningRates"]) if one is not None]
        rates.setdefault(cell["method"], set()).update(told)
    for method, rate in (document["trainer"].get("learningRate") or {}).items():
        if method in rates and not rates[method]:
            rates[method].add(rate)
    planned = {method: ", ".join(f"{rate:g}" for rate in sorted(found)) for method, found in sorted(rates.items()) if found}
    if len(set(planned.values())) == 1:
        return next(iter(planned.values()))
    return ", ".join(f"{rate} ({method})" for method, rate in planned.items()) or "not said"


def figure_of(found: Document | None, digits: int = 2) -> str:
    """A value with its interval, or a dash."""
    if found is None or found["value"] is None:
        return "-"
    if found["low"] is None or found["high"] is None:
        return _number(found["value"], digits)
    return f"{_number(found['value'], digits)} [{_number(found['low'], digits)},{_number(found['high'], digits)}]"


def _number(value: float, digits: int) -> str:
    """Without the zero before the point, which keeps seven columns within the width."""
    rounded = f"{value:.{0 if digits == 1 and abs(value) >= 99.95 else digits}f}"
    sign, magnitude = ("-", rounded[1:]) if rounded.startswith("-") else ("", rounded)
    sign = sign if magnitude.strip("0.") else ""
    return sign + (magnitude[1:] if magnitude.startswith("0.") else magnitude)


def p_of(value: float | None) -> str:
    """A p-value, or a dash."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
