import json

import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.groups import Group
from speechcue_hf.cues.levels import CueStatistics
from speechcue_hf.cues.serialization import canonical_text, find_describer, group_of
from speechcue_hf.errors import DescriberError, RecordError
from speechcue_hf.records import DESCRIBER_FILE
from tests.records import simple_describer

STATISTICS = {"count": 2, "mean": 0.1, "sd": 1 / 3, "median": 0.1, "thresholds": [-1.0, 1e-9]}
ENTRY = {"rows": 2, "cues": {"a": STATISTICS}}


def test_numbers_come_back_exactly():
    group = group_of(json.loads(canonical_text(ENTRY)))
    assert group == Group(2, {"a": CueStatistics(2, 0.1, 1 / 3, 0.1, (-1.0, 1e-9))})
    assert group_of(group) is group


def test_nan_is_null():
    text = canonical_text({"rows": 0, "cues": {"a": {**STATISTICS, "thresholds": (np.nan, np.nan)}}})
    assert json.loads(text)["cues"]["a"]["thresholds"] == [None, None]
    assert np.isnan(group_of(json.loads(text)).cues["a"].thresholds).all()


def test_equal_values_give_equal_text():
    assert canonical_text(ENTRY) == canonical_text(dict(reversed(ENTRY.items())))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format_version": 1}'])
def test_what_is_no_describer(tmp_path, text):
    (tmp_path / DESCRIBER_FILE).write_text(text)
    with pytest.raises(RecordError, match=r"describer\.json"):
        SpeechDescriber.from_pretrained(tmp_path)


def test_white_space_in_its_file_makes_no_other_describer(tmp_path):
    describer = simple_describer()
    describer.save_pretrained(tmp_path)
    path = tmp_path / DESCRIBER_FILE
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7))
    assert SpeechDescriber.from_pretrained(tmp_path).fingerprint == describer.fingerprint
    assert simple_describer(loudest=71.0).fingerprint != describer.fingerprint


def test_folder(tmp_path):
    with pytest.raises(DescriberError, match="save_pretrained"):
        find_describer(tmp_path, None)
    (tmp_path / DESCRIBER_FILE).write_text("{}")
    assert find_describer(str(tmp_path), None) == tmp_path / DESCRIBER_FILE


def test_a_hub_out_of_reach_is_said_with_the_name(monkeypatch):
    def no_network(*arguments, **options):
        raise LocalEntryNotFoundError("no connection and not in the cache")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", no_network)
    with pytest.raises(DescriberError, match=r"somebody/model is neither .* model: no connection"):
        find_describer("somebody/model", None)
