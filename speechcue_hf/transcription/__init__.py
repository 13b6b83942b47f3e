"""From recordings without turns or text to a table of turns that :mod:`speechcue_hf.corpora.folder` reads."""
