"""SWAT windows: which backports may go, in which order, and what to do at each step."""
