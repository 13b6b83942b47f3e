"""Captions: what is measured, known and said of an utterance in sentences that a speech model learns to write."""
