"""Tests of the embedded servers and of the supervisor that keeps them."""
