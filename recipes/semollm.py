# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[audio-model]"]
# ///
"""Train one of SEmoLLM's three stages on clips and their captions.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/semollm.py \
    --config recipes/semollm/tiny/stage1.yaml --dataset data/described --captions data/captions --output_dir runs/stage1
"""

import logging

from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.training.semollm import train_stage_recipe
from speechcue_hf.training.semollm_arguments import parse_stage_arguments

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    train_stage_recipe(*parse_stage_arguments(), publish=publish_model)
