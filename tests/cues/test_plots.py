from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from speechcue_hf.cues.analysis import Curves, clip_curves
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.plots import Turn, plot_distributions, plot_turns
from tests.cues.test_describe import rows

CLIP = Path(__file__).parents[2] / "speechcue_hf/corpora/demo_data/audio/bicycle_00.ogg"


def shape(path: Path) -> tuple[int, int]:
    """Height and width of a picture that is not blank."""
    picture = imread(path)
    assert picture[..., :3].std() > 0.01
    return picture.shape[:2]


@pytest.mark.parametrize("baseline", ["speaker", "overall", "running"])
def test_distributions(tmp_path, baseline):
    context = ["dialogue_id", "turn", "speaker"]
    some = rows(hnr_mean_db=[None] * 80).select_columns([*context, "duration_s", "f0_mean_hz", "hnr_mean_db"])
    one = some.select_columns([*context, "duration_s"])
    for train, name in ((some, "some"), (one, "one")):
        describer = SpeechDescriber.fit(train, baseline=baseline, min_past=1)
        plot_distributions(train, describer, tmp_path / name / "cues.png")
    # The cue that was never measured has no panel: two panels side by side.
    assert shape(tmp_path / "some/cues.png")[1] == pytest.approx(2 * shape(tmp_path / "one/cues.png")[1], abs=1)


def test_dialogue_with_and_without_audio(tmp_path):
    described = describe_dataset(rows(8), SpeechDescriber.fit(rows()))
    curves = clip_curves(CLIP)
    heard = [Turn({**row, "text": "It costs $5 to $6_x."}, None if row["turn"] == 3 else curves) for row in described]
    plot_turns(heard, tmp_path / "heard.png", title="d0")
    plot_turns([Turn(row) for row in described], tmp_path / "unheard.png", title="d0")
    assert shape(tmp_path / "heard.png")[0] > shape(tmp_path / "unheard.png")[0]


def test_clip_without_words(tmp_path):
    plot_turns([Turn({}, clip_curves(CLIP))], tmp_path / "clip.png", title=CLIP.name)
    described = describe_dataset(rows(1), SpeechDescriber.fit(rows()))[0]
    plot_turns([Turn(described, clip_curves(CLIP))], tmp_path / "described.png", title=CLIP.name)
    assert shape(tmp_path / "described.png")[0] > shape(tmp_path / "clip.png")[0]


def test_drawing_does_not_touch_pyplot(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from speechcue_hf.cues.plots import Turn, plot_turns; from speechcue_hf.cues.analysis import Curves;"
        f"plot_turns([Turn({{}}, Curves(np.ones(1600)))], Path({str(tmp_path / 'a.png')!r}), title='a');"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert Curves(np.ones(1600)).seconds == 0.1
