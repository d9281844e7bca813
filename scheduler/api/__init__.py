"""The HTTP API: JSON in, JSON out, one module per noun."""
