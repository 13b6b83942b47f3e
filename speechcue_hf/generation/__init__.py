"""Writers: chat models that write text for rows of a dataset, and the store that what they wrote goes to."""
