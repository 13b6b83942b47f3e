"""Text generators: chat models that write text for rows of a dataset, and the store that their texts go to."""
