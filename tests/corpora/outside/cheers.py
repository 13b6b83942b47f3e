"""A corpus as another package would bring it: one file, and one row of what is known of it."""

import csv
from pathlib import Path

from speechcue_hf import Corpus, CorpusBuilder, Utterance

CHEERS = Corpus(
    "cheers",
    "cheers",
    licence="Cheers licence, to each user",
    may_leave="cues",
    utterance_ids=r"cheers_\d+",
    homepage="https://example.org/cheers",
)


class CheersBuilder(CorpusBuilder):
    """Toasts, one dialogue a table."""

    CORPUS = "cheers"
    LABELS = ("merry", "moved")

    def read(self, data_dir):
        """The toasts of the one split."""
        with (data_dir / "toasts.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        toasts = [
            Utterance(row["table"], f"cheers_{place}", row["said"], row["emotion"], clip=data_dir / f"{place}.wav")
            for place, row in enumerate(rows)
        ]
        return {"train": toasts}


def watched(data_dir: Path):
    """The one file, and the folder with the clips."""
    return [data_dir / "toasts.csv", data_dir]
