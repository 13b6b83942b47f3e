import re
import subprocess
import sys
from pathlib import Path

import speechcue_hf

HEAVY = {
    *("datasets", "numpy", "pandas", "pyarrow", "huggingface_hub", "jinja2", "yaml", "torch", "transformers", "trl"),
    *("peft", "accelerate", "parselmouth", "matplotlib", "scipy", "sklearn", "av", "detect_secrets", "numba"),
}


def test_importing_the_package_and_its_command_line_is_light():
    script = "import sys, speechcue_hf, speechcue_hf.cli; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(shown.stdout.split())
    assert imported & HEAVY == set()


def test_one_module_knows_praat():
    """Its licence is the GPL: another engine can take its place there (docs/how-to/licences.md)."""
    package = Path(speechcue_hf.__file__).parent
    importing = re.compile(r"^\s*(?:from|import) parselmouth", re.MULTILINE)
    found = [path for path in package.rglob("*.py") if importing.search(path.read_text(encoding="utf-8"))]
    assert found == [package / "praat.py"]
