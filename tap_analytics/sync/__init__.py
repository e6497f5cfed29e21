"""Which slices of a stream a sync reads, and what it remembers."""
