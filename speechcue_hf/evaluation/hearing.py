"""Where the programs on cards of 0.1.0 find what is now :class:`speechcue_hf.SpeechLanguageModel`."""

from speechcue_hf.inference.speech_model import SpeechLanguageModel as Listener

__all__ = ["Listener"]
