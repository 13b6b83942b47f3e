import subprocess
import sys

HEAVY = {
    *("datasets", "numpy", "pandas", "pyarrow", "huggingface_hub", "jinja2", "yaml", "torch", "transformers", "trl"),
    *("peft", "accelerate", "parselmouth", "matplotlib", "scipy", "sklearn", "av", "detect_secrets"),
}


def test_importing_the_package_and_its_command_line_is_light():
    script = "import sys, speechcue_hf, speechcue_hf.cli; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(shown.stdout.split())
    assert imported & HEAVY == set()
