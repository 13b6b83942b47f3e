"""``speechcue doctor``: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import argparse

from speechcue_hf.environment import examine, library_versions
from speechcue_hf.errors import SpeechcueError

EXAMPLES = """examples:
  speechcue doctor            # exit code 1 when something cannot work
"""

MARKS = {"ok": "  ok      ", "note": "  note    ", "problem": "  PROBLEM "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The doctor takes no arguments of its own."""


def run(arguments: argparse.Namespace) -> None:
    """Print versions and findings."""
    print("Versions")
    for name, number in library_versions().items():
        print(f"  {name:<18} {number}")
    print("Findings")
    findings = examine()
    for finding in findings:
        print(f"{MARKS[finding.state]}{finding.what}" + (f"\n            → {finding.fix}" if finding.fix else ""))
    problems = sum(finding.state == "problem" for finding in findings)
    if problems:
        raise SpeechcueError(f"{problems} problem{'s' if problems > 1 else ''} found, what to do stands above")
