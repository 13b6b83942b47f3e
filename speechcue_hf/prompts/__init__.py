"""Prompts: a described dataset becomes prompt–completion rows."""
