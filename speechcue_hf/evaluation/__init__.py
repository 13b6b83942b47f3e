"""Evaluation: a model and a dataset become scores."""
