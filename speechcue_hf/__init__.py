"""Speech cues for emotion recognition in conversation, as a Hugging Face plugin.

Importing this package lets ``load_dataset("speechcue/<corpus>", ...)`` find its corpora. What it offers is listed in
``__init__.pyi`` and imported when it is first used:

- corpora: ``register_corpus``, ``Corpus``, ``CorpusBuilder``, ``Utterance``, ``read_dataset``, ``write_dataset``
- recordings without turns or text: ``transcribe``, ``Recording``, ``SpeechRecognizer``, ``TranscriptionSettings``
- what speech sounds like: ``measure_speech``, ``measure_dataset``, ``MeasurementSettings``, ``Cue``, ``register_cue``
- the same in words: ``SpeechDescriber``, ``describe_dataset``
- who speaks: ``write_biographies``
- prompts and captions for language models: ``build_prompts``, ``caption_dataset``
- trained models: ``EmotionRecognizer``, ``analyse_turns``, ``Explainer``, ``load_classifier``, ``SpeechLanguageModel``
- how good they are: ``evaluate``, ``intervene``, ``compare_runs``, ``ensemble_runs``, ``scores_table``
- to look at and listen to: ``write_report``
- the Hub: ``publish_dataset``, ``publish_model``
"""

from lazy_loader import attach_stub

from speechcue_hf.corpora.registration import register_corpora

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

register_corpora()
