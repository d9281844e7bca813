"""Tests of the adapters, over the loopback address."""
