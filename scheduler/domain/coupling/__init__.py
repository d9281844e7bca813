"""Couplings that nobody declared: found in messages and diffs, and asked about, never decided."""
