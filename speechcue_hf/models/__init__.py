"""Models that this package builds itself."""
