"""The demo corpus of this package: 12 short conversations spoken by espeak-ng, made by ``dataset_scripts/demo.py``.

96 utterances, four voices, six emotions; texts and clips are CC0. It teaches nothing about people: it is there so that
every command can be tried, and tested, without a licensed corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from speechcue_hf.corpora import folder
from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
DEMO_FOLDER = Path(str(files("speechcue_hf.corpora").joinpath("demo_data")))


class DemoBuilder(CorpusBuilder):
    """The demo corpus; it needs no ``data_dir``."""

    CORPUS = "demo"

    def emotions(self) -> Sequence[str]:
        """The six emotions of IEMOCAP's task, in its order."""
        return EMOTIONS

    def extras(self) -> Mapping[str, Any]:
        """The demo corpus has the shared columns only."""
        return {}

    def data_dir(self) -> Path:
        """Folder of the corpus in this package.

        Raises:
            CorpusError: If ``data_dir`` was given.
        """
        if self.config.data_dir is not None:
            raise CorpusError(
                "speechcue/demo ships with this package and takes no data_dir: leave it out, "
                'or load your own clips with load_dataset("speechcue/folder", data_dir="...")'
            )
        return DEMO_FOLDER

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        return folder.folder_utterances(folder.read_metadata(data_dir), EMOTIONS, [], self.config.verify)


def watched(data_dir: Path) -> list[Path]:
    """Files and folders whose change makes a new cache entry: those in this package.

    Args:
        data_dir: Not looked at.

    Returns:
        The paths, in a stable order.
    """
    return folder.watched(DEMO_FOLDER)
