import json

import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from speechcue_hf.cues.groups import Group
from speechcue_hf.cues.levels import CueStatistics
from speechcue_hf.cues.serialization import dump, find_describer, parse
from speechcue_hf.errors import DescriberError
from speechcue_hf.filenames import DESCRIBER_FILE

STATISTICS = {"count": 2, "mean": 0.1, "sd": 1 / 3, "median": 0.1, "thresholds": [-1.0, 1e-9]}
FIELDS = {"package_version": "0.1.0", "cues": ["a"], "groups": {"overall": {"rows": 2, "cues": {"a": STATISTICS}}}}


def test_numbers_come_back_exactly():
    parsed = parse(dump(FIELDS))
    assert parsed["cues"] == ("a",)
    assert parsed["groups"] == {"overall": Group(2, {"a": CueStatistics(2, 0.1, 1 / 3, 0.1, (-1.0, 1e-9))})}


def test_nan_is_null():
    empty = {**STATISTICS, "sd": np.nan, "thresholds": (np.nan, np.nan)}
    text = dump({**FIELDS, "groups": {"overall": {"rows": 0, "cues": {"a": empty}}}})
    assert json.loads(text)["groups"]["overall"]["cues"]["a"]["thresholds"] == [None, None]
    assert np.isnan(parse(text)["groups"]["overall"].cues["a"].thresholds).all()


def test_equal_fields_give_equal_text():
    assert dump(FIELDS) == dump(dict(reversed(FIELDS.items())))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format_version": 1}'])
def test_what_is_no_describer(text):
    with pytest.raises(DescriberError, match="not a describer"):
        parse(text)


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
