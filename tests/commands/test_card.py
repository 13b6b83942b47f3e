from speechcue_hf.cli import main


def test_a_folder_that_holds_no_run_is_named(tmp_path, capsys):
    assert main(["card", str(tmp_path)]) == 1
    assert "holds no training.json" in capsys.readouterr().err


def test_help_has_examples(capsys):
    try:
        main(["card", "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0
    assert "speechcue card runs/demo" in capsys.readouterr().out
