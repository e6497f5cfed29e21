"""How fast tap-analytics is, measured side by side with what else reads a REST API."""
