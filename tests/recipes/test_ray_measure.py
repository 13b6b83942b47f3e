import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Audio, Dataset, Features, Value, load_dataset

from speechcue_hf.cues.measure import measure_dataset
from tests.cues.measure_clips import as_bytes, voice

pytestmark = pytest.mark.slow

pytest.importorskip("ray")
REPOSITORY = Path(__file__).parents[2]


def test_a_local_ray_gives_the_same_numbers(tmp_path):
    features = Features(
        {
            "dialogue_id": Value("string"),
            "utterance_id": Value("string"),
            "turn": Value("int32"),
            "audio": {"path": Value("string"), "bytes": Value("binary")},
            "start": Value("float64"),
            "end": Value("float64"),
        }
    )
    rows = {
        "dialogue_id": ["a"] * 4,
        "utterance_id": [f"u{i}" for i in range(4)],
        "turn": range(4),
        "audio": [as_bytes(voice(100 + 20 * i, 0.3)) for i in range(3)] + [None],
        "start": [float(i) for i in range(4)],
        "end": [i + 0.8 for i in range(4)],
    }
    dataset = Dataset.from_dict(rows, features=features).cast_column("audio", Audio(decode=False))
    dataset.to_parquet(tmp_path / "in" / "train-00000-of-00001.parquet")
    command = [sys.executable, "recipes/ray_measure.py", str(tmp_path / "in"), str(tmp_path / "out")]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = load_dataset("parquet", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    found = {row["utterance_id"]: row for row in measured}
    expected = measure_dataset(dataset).remove_columns("audio")
    # Close, not equal: the other process may be given another BLAS kernel than this one.
    assert found == {row["utterance_id"]: {name: close(value) for name, value in row.items()} for row in expected}


def close(value):
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
