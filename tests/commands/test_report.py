from pathlib import Path

import pytest

from speechcue_hf.cli import main

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0"


def test_writes_a_page_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    run = FROZEN / "runs" / "chat"
    line = [FROZEN / "data" / "described", run, "--audio", "none", "--title", "<My> & report", "-o", page]
    assert main(["report", *map(str, line)]) == 0
    assert f"{page} shows " in capsys.readouterr().out
    assert "<h1>&lt;My&gt; &amp; report</h1>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "lots"])
def test_a_size_that_is_none_is_wrong_usage(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", "data", "-o", "report.html", f"--audio={size}"])
    assert stopped.value.code == 2 and "must be none or a number of megabytes" in capsys.readouterr().err
