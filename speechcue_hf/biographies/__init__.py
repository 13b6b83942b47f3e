"""Speaker biographies: what a chat model makes of a speaker, from the past of the dialogue or from all of it."""
