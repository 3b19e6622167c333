"""Which capabilities a pod has, where their code lies and what its digest is."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import assay_pods.common
from assay_pods.common.code_digest import code_digest

_WORDS = re.compile(r"(?P<name>[a-z][a-z0-9_]*)=(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Capability:
    """A function that works on runs."""

    name: str
    module: str
    function: str
    code_digest: str

    @property
    def entry(self) -> str:
        """The function as `module:function`."""
        return f"{self.module}:{self.function}"


def find_capability(words: str) -> Capability:
    """Find what `name=module:function` means, without running the module: it may load torch.

    Raises:
        ValueError: The words have another form, or there is no such module.
    """
    match = _WORDS.fullmatch(words)
    if match is None:
        raise ValueError(f"wanted a capability as name=module:function, but got {words!r}")
    name, module, function = match.group("name", "module", "function")
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise ValueError(f"wanted the module {module!r} of the capability {name!r}, but there is none")
    folders = {name: Path(found.origin).parent, "common": Path(assay_pods.common.__file__).parent}
    return Capability(name, module, function, code_digest(folders))
