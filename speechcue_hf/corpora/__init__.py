"""Loaders: a corpus on disk becomes one row per utterance."""
