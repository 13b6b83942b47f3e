"""The errors this package raises for data and files; wrong argument values raise ``ValueError``."""


class SpeechcueError(Exception):
    """Base of all errors below; the message names the file, row or value and the fix."""


class RecordError(SpeechcueError):
    """A record beside data or a model is missing, damaged, or of a newer release."""


class CorpusError(SpeechcueError):
    """A corpus on disk differs from its release, or cannot be read."""


class AudioError(SpeechcueError):
    """A clip cannot be decoded."""


class DialogueError(SpeechcueError):
    """Rows are not whole dialogues in speaking order."""


class DescriberError(SpeechcueError):
    """A describer file, or the data given to a describer, does not fit."""


class PromptError(SpeechcueError):
    """A dataset lacks what a prompt needs, or a prompt file is not valid."""


class ModelError(SpeechcueError):
    """A dataset lacks what a model reads, or does not fit it."""


class TrainingError(SpeechcueError):
    """A training run cannot start or go on as configured."""


class EvaluationError(SpeechcueError):
    """A model, a dataset and a label set do not fit together for scoring."""


class GenerationError(SpeechcueError):
    """A generator, the store of what was written, and what is asked do not fit together."""


class TranscriptionError(SpeechcueError):
    """Recordings, their turns and a recognizer of speech do not fit together."""


class CaptionError(SpeechcueError):
    """A dataset lacks what captions need, or a task is unknown."""


class PublishingError(SpeechcueError):
    """Something cannot go to the Hub, or did not get there."""


class LicenceError(PublishingError):
    """A licence does not let something out."""


class CheckpointError(SpeechcueError):
    """A checkpoint cannot be read, or does not fit the model it is for."""
