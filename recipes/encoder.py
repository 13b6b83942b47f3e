# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[train]"]
# ///
"""Train BiosERC's encoder classifier on a dataset folder.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/encoder.py \
    --config recipes/bioserc/encoder/meld.yaml --dataset data/described --output_dir runs/encoder
"""

import logging

from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.training.encoder import train_encoder_recipe
from speechcue_hf.training.encoder_arguments import parse_encoder_arguments

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    train_encoder_recipe(*parse_encoder_arguments(), score=weighted_f1, publish=publish_model)
