"""The outside world: documents, the review system, calendars, notifications."""
