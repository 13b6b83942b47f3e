import argparse
import json

import numpy as np
from datasets import Dataset, DatasetDict
from matplotlib import image

from speechcue_hf.cli import main
from speechcue_hf.commands import intervene
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.models.tiny import build_tiny_model


def test_prints_and_writes_the_report(described_corpus, tmp_path, capsys):
    test = described_corpus["test"].remove_columns("speech_description")
    test = test.add_column("f0_mean_hz", np.random.default_rng(0).normal(200, 30, len(test)).tolist())
    describer = SpeechDescriber.fit(Dataset.from_dict({"f0_mean_hz": list(test["f0_mean_hz"])}), baseline="overall")
    write_dataset(DatasetDict(test=describe_dataset(test, describer)), tmp_path / "data")
    describer.save_pretrained(tmp_path / "data")
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")

    parser = argparse.ArgumentParser()
    intervene.add_arguments(parser)
    line = [
        "--dataset",
        tmp_path / "data",
        "--model",
        tmp_path / "model",
        "-o",
        tmp_path / "out",
        "--cue",
        "f0_mean_hz",
    ]
    intervene.run(parser.parse_args([str(part) for part in line]))

    report = json.loads((tmp_path / "out" / "intervention.json").read_text())
    names = ["true cues", "shuffled cues", "f0_mean_hz raised", "f0_mean_hz lowered", "without cues"]
    assert list(report["variants"]) == names and report["n"] == 12
    assert image.imread(tmp_path / "out" / "intervention.png").std() > 0.01
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_rows_of_which_none_was_measured_are_refused(described_corpus, tmp_path, capsys):
    fitted = Dataset.from_dict({"f0_mean_hz": [100.0, 150.0, 200.0]})
    describer = SpeechDescriber.fit(fitted, baseline="overall")
    test = described_corpus["test"]
    nothing = Dataset.from_dict({"f0_mean_hz": [None] * len(test)}, features=fitted.features)
    rows = test.add_column("f0_mean_hz", nothing.data.column("f0_mean_hz"), feature=fitted.features["f0_mean_hz"])
    write_dataset(DatasetDict(test=rows), tmp_path / "data")
    describer.save_pretrained(tmp_path / "data")
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    line = [str(tmp_path / "data"), "--model", str(tmp_path / "model"), "-o", str(tmp_path / "out")]
    assert main(["intervene", *line]) == 1
    assert "no clip was measured" in capsys.readouterr().err and not (tmp_path / "out").exists()
