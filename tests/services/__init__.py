"""Use cases, with a real database."""
