"""The report: a corpus and runs on it as one page that opens from disk, to read, to hear and to show."""
