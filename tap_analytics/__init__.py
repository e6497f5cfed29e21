"""A Singer tap for a REST analytics API and for REST APIs that its user declares."""
