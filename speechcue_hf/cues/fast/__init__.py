"""Kernels that give the numbers of Praat faster, written from the publications that they name (extra ``fast``).

Where these leave a constant open, such as how far an interpolation reaches, a kernel holds one with which its numbers
are Praat's.
"""
