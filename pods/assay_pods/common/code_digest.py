"""The digest of the source code that a run's result depends on.

The rule, which the planner follows in TypeScript too:

1. Take every file whose name ends in `.py` below `assay_pods/<capability>` and below `assay_pods/common`.
2. Name each by its path from `assay_pods` with forward slashes, for instance `robustness/run.py`, and sort by name.
3. The digest is the SHA-256, in lower-case hex, of these lines one after another, each in UTF-8:
   the name, a NUL, the lower-case hex SHA-256 of the file's bytes, a line feed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def code_digest(folders: Mapping[str, Path]) -> str:
    """Digest the Python files below some folders.

    Args:
        folders: The first part of the files' names to the folder, for instance `{"common": Path(...), "robustness": Path(...)}`.
    """
    files = {f"{first}/{path.relative_to(folder).as_posix()}": path for first, folder in folders.items() for path in folder.rglob("*.py")}
    total = hashlib.sha256()
    for name in sorted(files):
        content = hashlib.sha256(files[name].read_bytes()).hexdigest()
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()
