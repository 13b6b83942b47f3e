"""SEmoLLM: speech into a language model through a frozen speech encoder and a Q-Former.

The files of this folder import nothing of this package, so that a saved model carries them along and loads without it.
"""
