"""Speech cues for emotion recognition in conversation, as a Hugging Face plugin."""

__version__ = "0.1.0"
