"""Records on their way out: checked, conformed and encoded as Singer messages."""
