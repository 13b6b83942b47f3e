import argparse
import json

from datasets import ClassLabel, Dataset, DatasetDict

from speechcue_hf.commands import probe
from speechcue_hf.corpora.parquet import write_dataset


def test_prints_the_table_and_writes_it(tmp_path, capsys):
    table = {"emotion": [0, 1] * 30, "f0_mean_hz_z": [-1.0, 1.0] * 30, "f0_mean_hz_level": ["low", "high"] * 30}
    split = Dataset.from_dict(table).cast_column("emotion", ClassLabel(names=["calm", "tense"]))
    write_dataset(DatasetDict(train=split, test=split), tmp_path / "data")
    parser = argparse.ArgumentParser()
    probe.add_arguments(parser)
    probe.run(parser.parse_args([str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--on", "level"]))
    assert json.loads((tmp_path / "out" / "probe.json").read_text())["random forest"]["weighted_f1"] == 1
    assert "random forest               100.00 %   100.00 %" in capsys.readouterr().out
