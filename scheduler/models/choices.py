"""The columns' closed sets of values, taken from the domain's own words."""

from collections.abc import Iterable
from enum import Enum


def choices_of(words: Iterable[Enum]) -> list[tuple[str, str]]:
    """Return the choices of a column: each value, and how pages spell it."""
    return [(word.value, str(word.value).replace("-", " ").capitalize()) for word in words]


def values_of(words: Iterable[Enum]) -> list[str | int]:
    """Return the values that a constraint lets pass."""
    return [word.value for word in words]
