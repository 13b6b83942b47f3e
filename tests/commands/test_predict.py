import json
from pathlib import Path

from speechcue_hf.cli import main
from tests.media import as_wav, spoken
from tests.test_decoders import naming_others

RUN = Path(__file__).parents[1] / "upgrade" / "0.1.0" / "runs" / "encoders" / "seed-1"


def test_clips_that_name_other_files_are_noted_and_nobody_is_asked(tmp_path, listener, capsys):
    address, seen = listener
    secret = tmp_path / "outside.wav"
    secret.write_bytes(as_wav(spoken()))
    folder = tmp_path / "conversations"
    folder.mkdir()
    texts = naming_others(address, secret)
    names = [f"{kind}.{suffix}" for kind, suffix in zip(texts, ("m3u8", "mp4", "wav", "mkv") * 2, strict=True)]
    for name, text in zip(names, texts.values(), strict=True):
        (folder / name).write_text(text)
    rows = [f"{name},d,{'AB'[turn % 2]},Well." for turn, name in enumerate(names)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,dialogue_id,speaker,text", *rows]) + "\n")
    # The folder for the output is made: predictions that took hours are not lost for want of it.
    output = tmp_path / "new" / "found.jsonl"
    assert main(["predict", str(folder), "--model", str(RUN), "-o", str(output)]) == 0
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(found) == len(names)
    assert all("cannot be decoded" in row["note"] for row in found)
    assert main(["predict", str(folder / names[0]), "--text", "Well.", "--model", str(RUN)]) in (0, 1)
    assert seen == []
