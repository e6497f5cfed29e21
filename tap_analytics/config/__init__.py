"""Settings and declared resources: checked before the first request."""
