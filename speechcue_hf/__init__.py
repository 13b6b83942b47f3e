"""Speech cues for emotion recognition in conversation, as a Hugging Face plugin.

Importing this package registers the corpora, so that ``load_dataset("speechcue/meld", data_dir=...)`` works.
"""

__version__ = "0.1.0"

from speechcue_hf.corpora.registration import register

register()
