"""People who click at random while a window is deployed, and what must be true all the same."""
