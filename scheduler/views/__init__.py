"""HTTP in, HTML out: one module per noun, and what they share."""
