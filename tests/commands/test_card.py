import json
import shutil
from pathlib import Path

from speechcue_hf.cli import main

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0" / "runs" / "encoders"


def test_a_folder_that_holds_no_run_is_named(tmp_path, capsys):
    assert main(["card", str(tmp_path)]) == 1
    assert "holds no training.json" in capsys.readouterr().err


def test_help_has_examples(capsys):
    try:
        main(["card", "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0
    assert "speechcue card runs/demo" in capsys.readouterr().out


def test_of_several_seeds_the_best_gets_the_card(tmp_path, capsys):
    shutil.copytree(FROZEN, runs := tmp_path / "encoders")
    assert main(["card", str(runs)]) == 0
    # By the least loss or the greatest score on the selection split; a tie goes to the first seed.
    assert capsys.readouterr().out == f"Written to {runs / 'seed-1' / 'README.md'}.\n"
    change = json.loads((runs / "seed-2" / "training.json").read_text())
    change["best"]["eval_weighted_f1"] = 0.5
    (runs / "seed-2" / "training.json").write_text(json.dumps(change))
    assert main(["card", str(runs)]) == 0
    assert "This run has the seed 2, one of 1, 2." in (runs / "seed-2" / "README.md").read_text()
