# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf[audio-model]"]
# ///
"""Train one of SEmoLLM's three stages on clips and their captions.

accelerate launch --config_file recipes/accelerate_configs/cpu.yaml recipes/semollm.py \
    --config semollm/tiny/stage1 --dataset data/described --captions data/captions --output_dir runs/stage1
"""

from speechcue_hf.run_recipe import main

if __name__ == "__main__":
    main()
