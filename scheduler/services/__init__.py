"""Use cases: one function per thing that a person or the clock does."""
