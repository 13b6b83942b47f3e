# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[train]"]
# ///
"""Fine-tune a chat model on a described dataset.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/sft.py \
    --config quickstart --dataset data/described --output_dir runs/tiny
"""

from speechcue_hf.run_recipe import main

if __name__ == "__main__":
    main()
