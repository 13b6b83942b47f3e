from tests.tiny_chat import described, model, prompts, tokenizer  # noqa: F401 - fixtures
