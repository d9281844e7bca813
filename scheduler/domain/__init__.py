"""What decides: pure Python, values in and values out, no clock, no I/O, no framework."""
