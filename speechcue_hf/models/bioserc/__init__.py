"""BiosERC's encoder classifier; importing this package makes it known to transformers' Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from speechcue_hf.models.bioserc.configuration_bioserc import BiosErcConfig
from speechcue_hf.models.bioserc.modeling_bioserc import BiosErcForUtteranceClassification

__all__ = ["BiosErcConfig", "BiosErcForUtteranceClassification"]

AutoConfig.register(BiosErcConfig.model_type, BiosErcConfig)
AutoModel.register(BiosErcConfig, BiosErcForUtteranceClassification)
AutoModelForSequenceClassification.register(BiosErcConfig, BiosErcForUtteranceClassification)
