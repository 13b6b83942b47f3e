# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[train]"]
# ///
"""Fine-tune a chat model on a described dataset.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/sft.py \
    --config recipes/quickstart.yaml --dataset data/described --output_dir runs/tiny
"""

import logging

from speechcue_hf.evaluation.selection import judge
from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.training.arguments import parse_arguments
from speechcue_hf.training.sft import train_recipe

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    train_recipe(*parse_arguments(), judge=judge, publish=publish_model)
