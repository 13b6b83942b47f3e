"""The app: record or upload a conversation, see it as in a report, and try what other takes and words change."""
