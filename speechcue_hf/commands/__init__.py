"""The commands of ``speechcue``, one module each."""
