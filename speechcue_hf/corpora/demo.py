"""The demo corpus of this package: short scripts performed by espeak-ng, made by ``dataset_scripts/demo.py``.

504 utterances, 16 voices, six emotions; each sentence is said in all of them, so that the voice tells and the words do
not. Texts and clips are CC0. It teaches nothing about people: it is there so that every command can be tried, and
tested, without a licensed corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from speechcue_hf.corpora import folder
from speechcue_hf.errors import CorpusError

EMOTIONS = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
DEMO_FOLDER = Path(str(files("speechcue_hf.corpora").joinpath("demo_data")))


class DemoBuilder(folder.FolderBuilder):
    """The demo corpus, a folder with the six emotions of IEMOCAP's task; it needs no ``data_dir``."""

    BUILDER_CONFIGS: ClassVar[Sequence[folder.FolderConfig]] = [folder.FolderConfig(labels=EMOTIONS)]
    CORPUS = "demo"

    def data_dir(self) -> Path:
        """Folder of the corpus in this package."""
        if self.config.data_dir is not None:
            raise CorpusError(
                "speechcue/demo ships with this package and takes no data_dir: leave it out, "
                'or load your own clips with load_dataset("speechcue/folder", data_dir="...")'
            )
        return DEMO_FOLDER


def watched(data_dir: Path) -> list[Path]:
    """The metadata and the clips in this package, whatever ``data_dir`` says."""
    return folder.watched(DEMO_FOLDER)
