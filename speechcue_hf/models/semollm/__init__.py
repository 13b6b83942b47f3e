"""SEmoLLM: speech into a language model through a frozen speech encoder and a Q-Former.

The files ``*_semollm.py`` import nothing else of this package, so that a saved model carries them along and loads
without it. Importing the folder makes the model known to transformers' Auto classes.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForPreTraining,
    AutoProcessor,
)

from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration, SEmoLLMModel
from speechcue_hf.models.semollm.pretraining_semollm import SEmoLLMForPretraining
from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor

__all__ = [
    "SEmoLLMConfig",
    "SEmoLLMForConditionalGeneration",
    "SEmoLLMForPretraining",
    "SEmoLLMModel",
    "SEmoLLMProcessor",
]

AutoConfig.register(SEmoLLMConfig.model_type, SEmoLLMConfig)
AutoModel.register(SEmoLLMConfig, SEmoLLMModel)
AutoModelForCausalLM.register(SEmoLLMConfig, SEmoLLMForConditionalGeneration)
AutoModelForMultimodalLM.register(SEmoLLMConfig, SEmoLLMForConditionalGeneration)
AutoModelForPreTraining.register(SEmoLLMConfig, SEmoLLMForPretraining)
AutoProcessor.register(SEmoLLMConfig, SEmoLLMProcessor)
