"""The HTTP API, one module per noun: JSON in, JSON out, for bots and people's scripts."""
