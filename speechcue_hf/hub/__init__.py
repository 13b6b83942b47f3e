"""Hub: results become cards."""
