"""Who is who in the demo: the one list behind its accounts, its sign-in page and its terminal."""

from dataclasses import dataclass

from scheduler.domain.permissions import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in to the demo with one click.

    Attributes:
        username: the account's name.
        roles: what the account is trusted with.
        is_a: who that is, in a word or two.
        does: what they do, after their name.
    """

    username: str
    roles: tuple[Role, ...]
    is_a: str
    does: str


CAST = (
    Person("ada", (Role.DEVELOPER,), "developer", "requests backports"),
    Person(
        "rae",
        (Role.DEVELOPER, Role.REVIEWER),
        "reviewer",
        "approves, declines, sends to the train",
    ),
    Person(
        "dev",
        (Role.DEVELOPER, Role.DEPLOYER, Role.OPERATIONS),
        "deployer",
        "locks the window and drives it; operations, too",
    ),
    Person(
        "rel",
        (Role.RELEASE_ENGINEER,),
        "release engineer",
        "reviews, and looks after train and policy",
    ),
    Person("sam", (), "without a role", "may look, nothing else"),
)
