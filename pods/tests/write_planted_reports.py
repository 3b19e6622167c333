"""Writes reports of planted experiments for tests in TypeScript: `python -m tests.write_planted_reports <folder>`.

`measured.json` has an effect in DPO, `unlearned.json` no core at all, `incomplete.json` lacks a run.
"""

import sys
import tempfile
from pathlib import Path

from assay_pods.robustness.report import to_json, write_report
from tests import planted

CUES = {("DPO", 0.9): 6.0, ("DPO", 1.0): 8.0, ("SFT", 0.9): 3.6}


def main(folder: Path) -> None:
    """Writes the three reports into the folder."""
    learned = planted.model(4.0, lambda method, rate: CUES.get((method, rate), 0.02))
    unlearned = planted.model(0.0, lambda method, rate: CUES.get((method, rate), 0.02))
    plan = planted.spec(methods=("SFT", "DPO"))
    last = len(plan["cells"]) - 1
    for name, margins, without in (("measured", learned, ()), ("unlearned", unlearned, ()), ("incomplete", learned, (last,))):
        with tempfile.TemporaryDirectory() as work:
            document = write_report(planted.context(Path(work), plan, margins, without))
        (folder / f"{name}.json").write_text(to_json(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
