"""A property that is worked out once, when it is first asked for."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")
Value = TypeVar("Value")


class lazily(Generic[Owner, Value]):  # noqa: N801 - a decorator
    """Keep what a method returns in its object, under the method's own name.

    As `functools.cached_property`, without the lock that it takes up to Python 3.11: a plan of
    10,000 backports would spend a tenth of its time there. Two threads that ask at once both work
    it out, and get the same.
    """

    def __init__(self, method: Callable[[Owner], Value]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self._name = method.__name__

    def __get__(self, instance: Owner, owner: type[Any]) -> Value:
        value = instance.__dict__[self._name] = self._method(instance)
        return value
