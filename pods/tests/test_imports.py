import shutil
import subprocess
import sys
from pathlib import Path

PODS = Path(__file__).parents[1]
LINT = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--config", "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_packages_import_one_way():
    said = lint(PODS)
    assert said.returncode == 0, said.stdout
    assert "1 kept, 0 broken" in said.stdout


def test_a_planted_breach_is_caught(tmp_path):
    shutil.copytree(PODS / "assay_pods", tmp_path / "assay_pods", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PODS / "pyproject.toml", tmp_path)
    (tmp_path / "assay_pods" / "common" / "breach.py").write_text(
        '"""A breach."""\n\nfrom assay_pods.robustness import run  # noqa: F401\n'
    )
    said = lint(tmp_path)
    assert said.returncode != 0
    assert "assay_pods.common.breach -> assay_pods.robustness.run" in said.stdout
