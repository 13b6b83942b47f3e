"""A few dialogues of each split of the demo corpus, for tests that need spoken rows and not many."""

from datasets import DatasetDict, load_dataset

TURNS = 6
"""Of each of its dialogues."""
DIALOGUES = {"train": 8, "validation": 2, "test": 2}
ROWS = {split: TURNS * count for split, count in DIALOGUES.items()}


def demo_slice() -> DatasetDict:
    """The first dialogues of each split, with clips."""
    demo = load_dataset("speechcue/demo")
    return DatasetDict({split: demo[split].select(range(count)) for split, count in ROWS.items()})
