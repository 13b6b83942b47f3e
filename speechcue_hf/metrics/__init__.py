"""Scores of predictions, and how far they could have come out otherwise."""
