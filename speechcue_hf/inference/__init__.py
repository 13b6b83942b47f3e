"""Models in use: which emotion an utterance has, by any kind of model, and why."""
