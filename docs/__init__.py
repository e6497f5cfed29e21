"""The documentation, and what makes those of its pages that tell facts of the code."""
