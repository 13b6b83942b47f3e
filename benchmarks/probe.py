"""The probe on the published MELD measurements beside the published table: weighted F1 and accuracy in per cent.

    SPEECHCUE_CORPORA=/data python benchmarks/probe.py

The suite checks forest and vector machine; the perceptron, which takes most of the time, is compared here alone. What
it printed stands in ``probe.md``.
"""

import sys
from pathlib import Path

from datasets import disable_progress_bars

from speechcue_hf.evaluation.probe import probe_cues

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.evaluation.test_probe_published import PUBLISHED, described


def main() -> None:
    """Print the table."""
    disable_progress_bars()
    splits = described()
    print("| | ours | reference |\n|---|---|---|")
    for representation, published in PUBLISHED.items():
        for probe in probe_cues(*splits, representation=representation):
            ours = (probe.results["weighted_f1"], probe.results["accuracy"])
            both = " / ".join(f"{100 * value:.2f}" for value in ours), " / ".join(map(str, published[probe.classifier]))
            print(f"| {representation}, {probe.classifier} | {both[0]} | {both[1]} |")


if __name__ == "__main__":
    main()
