"""Names of the files that lie beside the rows of a dataset folder and beside the model of a run."""

CORPUS_FILE = "corpus.json"
"""Beside rows: the corpus they come from, with its licence and labels."""

MEASUREMENT_FILE = "measurement.json"
"""Beside measured rows: the settings they were measured with."""

DESCRIBER_FILE = "describer.json"
"""Beside described rows, and beside a model trained on them: the describer that put them in words."""

BIOGRAPHIES_FILE = "biographies.json"
"""Beside rows with biographies, and beside a model trained on them: who wrote them, asked what, from which turns."""

BIOGRAPHY_STORE_FILE = "biographies-store.jsonl"
"""Beside rows with biographies: every text as it was written, kept from the moment it was there."""

CAPTIONS_FILE = "captions.json"
"""Beside captions, and beside a model trained on them: their tasks, who wrote them, and from which levels."""

CAPTION_STORE_FILE = "captions-store.jsonl"
"""Beside captions that a chat model wrote: every text as it was written."""

DISTRIBUTIONS_FILE = "distributions.png"
"""Beside described rows: each cue on the train split, with its thresholds."""

PROMPT_FILE = "prompt.json"
"""Beside a model: the prompt it was trained on."""

PROMPT_TEMPLATE_FILE = "prompt.jinja"
"""Beside the prompt: its template."""

VIEWS_FILE = "views.json"
"""In a published dataset: what each of its configs holds; the card is written from it."""

TRAINING_FILE = "training.json"
"""Beside a model: what it was made from, and how."""

SEEDS_FILE = "seeds.json"
"""In the folder of runs with several seeds: the mean of their scores."""

BASE_MODEL_FOLDER = "base_model"
"""Beside an adapter: its base model, when that one has no Hub id. ``adapter_config.json`` then names this folder and no
path of the machine it was made on; :func:`speechcue_hf.models.loading.load_model` looks for it beside the adapter."""

RESULTS_FILE = "results.json"
"""Beside a model: its scores."""

PREDICTIONS_FILE = "predictions.parquet"
"""Beside a model: its answer to each utterance."""

CONFUSION_FILE = "confusion_matrix.png"
"""Beside a model: its predictions against the labels."""

CARD_FILE = "README.md"
"""Beside a model: its card."""

CONVERSION_FILE = "conversion.json"
"""Beside a converted model: what became of each weight of the checkpoint it was converted from."""
