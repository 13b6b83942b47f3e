"""Where the programs on cards of 0.1.0 find the recognizer; everybody else imports it from :mod:`speechcue_hf`."""

from speechcue_hf.inference.recognizer import EmotionRecognizer as EmotionRecognizer
