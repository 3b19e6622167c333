"""Copies a collection in BEIR's layout without the ids that name two texts, and without the judgements of these.

Uploads with such an id are refused, because nobody can say which text was judged; this leaves both texts in, under ids of their own that
nobody judged, and says what it left out. Run it as `npm run bench -- single_ids FROM TO`.
"""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path


def main() -> None:
    """Reads the two folders from the command line."""
    if len(sys.argv) != 3:
        sys.exit(f"wanted a folder in BEIR's layout and a folder to write, got {len(sys.argv) - 1} arguments")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in (source / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    counted = Counter(row["_id"] for row in rows)
    twice = {one for one, count in counted.items() if count > 1}
    with (target / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for place, row in enumerate(rows):
            own = f"{row['_id']}-row-{place + 1}" if row["_id"] in twice else row["_id"]
            corpus.write(json.dumps(row | {"_id": own}, ensure_ascii=False) + "\n")
    shutil.copyfile(source / "queries.jsonl", target / "queries.jsonl")
    for qrels in sorted((source / "qrels").glob("*.tsv")):
        _copy_judgements(qrels, target / "qrels" / qrels.name, twice)
    sys.stdout.write(f"{len(rows)} documents, ids that name two texts: {', '.join(sorted(twice)) or 'none'}\n")


def _copy_judgements(source: Path, target: Path, twice: set[str]) -> None:
    lines = source.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split("\t")[1] not in twice]
    target.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    sys.stdout.write(f"{source.name}: {len(lines) - len(kept)} judgements left out, {len(kept) - 1} kept\n")


if __name__ == "__main__":
    main()
