"""The package as a later release might be: every record has one more setting, with a default.

``python next_release.py '[["evaluate", …], ["card", …]]'`` runs ``speechcue evaluate …`` and ``speechcue card …`` of
that release.
"""

import json
import sys
from dataclasses import field, make_dataclass
from importlib import import_module

KINDS = {
    "speechcue_hf.records": (
        *("CorpusIdentity", "BiographiesRecord", "CaptionsRecord", "TrainingRecord", "ResultsRecord", "SeedsRecord"),
    ),
    "speechcue_hf.cues.settings": ("MeasurementSettings",),
    "speechcue_hf.cues.describe": ("SpeechDescriber",),
    "speechcue_hf.prompts.specification": ("PromptSpecification",),
}
"""Module → its records, in the order in which modules import each other."""

SETTING = "emphasis"


def extended(kind: type) -> type:
    """The record with one more setting."""
    added = (SETTING, bool, field(default=False, kw_only=True))
    return make_dataclass(kind.__name__, [added], bases=(kind,), frozen=True, eq=True)


def extend_all() -> None:
    """Put the extended records in place of today's, before other modules take them from there."""
    for name, kinds in KINDS.items():
        module = import_module(name)
        for kind in kinds:
            setattr(module, kind, extended(getattr(module, kind)))


if __name__ == "__main__":
    extend_all()
    from speechcue_hf.cli import main

    sys.exit(any(main(command) for command in json.loads(sys.argv[1])))
