"""Kernels that give the numbers of Praat faster, written from the publications that they name (extra ``fast``)."""
