"""The servers that `make run` and `make test` bring along, and the supervisor that keeps them.

Production needs none of this.
"""
