# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[train]"]
# ///
"""Train BiosERC's encoder classifier on a dataset folder.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/encoder.py \
    --config bioserc/encoder/meld --dataset data/described --output_dir runs/encoder
"""

from speechcue_hf.run_recipe import main

if __name__ == "__main__":
    main()
