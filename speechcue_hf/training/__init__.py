"""Training: prompt–completion rows become an adapter, dialogues an encoder classifier."""
