"""Training: prompt–completion rows become an adapter."""
