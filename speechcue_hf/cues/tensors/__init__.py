"""The analyses as batched tensors, all frames of a clip at once, on a GPU where torch sees one (extra ``train``).

They follow the publications that they name, as the kernels of ``speechcue_hf.cues.fast`` do, with the same constants.
"""
