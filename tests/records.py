"""Records with no more than they need, for tests that are about something else."""

from __future__ import annotations

from datasets import Dataset

from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.records import TrainingRecord


def training_record(**changes) -> TrainingRecord:
    needed = {
        "base_model": "tiny",
        "seed": 1,
        "settings": {},
        "parameters": {"all": 10, "trained": 5},
        "steps": 1,
        "best": {"step": 1, "eval_loss": 1.0},
        "rows": {},
    }
    return TrainingRecord(**{**needed, **changes})


def simple_describer(loudest: float = 70.0) -> SpeechDescriber:
    """Of loudness only, fitted on twelve rows."""
    loudness = [loudest - place for place in range(12)]
    train = Dataset.from_dict({"duration_s": [1.0] * 12, "intensity_mean_db": loudness, "speaker": ["A"] * 12})
    return SpeechDescriber.fit(train, levels=3, baseline="overall")
