"""Worker processes that begin anew, as on Windows and macOS, give what one process gives."""

import subprocess
import sys

import pytest

SCRIPT = """
import multiprocess
from datasets import load_dataset
from speechcue_hf import MeasurementSettings, SpeechDescriber, describe_dataset, measure_dataset

if __name__ == "__main__":
    multiprocess.set_start_method("spawn")
    clips = load_dataset("speechcue/demo", num_proc=2)["train"].select(range(60))
    alone, together = (
        measure_dataset(clips, MeasurementSettings(groups=("loudness",)), num_proc=number) for number in (None, 2)
    )
    assert alone["intensity_mean_db"][:] == together["intensity_mean_db"][:]
    describer = SpeechDescriber.fit(alone, settings=MeasurementSettings(groups=("loudness",)))
    print(describe_dataset(together, describer)["speech_description"][:] != [])
"""


@pytest.mark.slow
def test_processes_can_be_spawned(tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "program.py")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr[-2000:]
