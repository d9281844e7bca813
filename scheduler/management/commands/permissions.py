"""`manage.py permissions`: writes who may do what into the docs, from the one table in the code."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import PERMITS, Act, Actor, Relation, Role, may

FILE = settings.BASE_DIR / "docs" / "permissions.md"

_PREAMBLE = """# Who may do what

Written by `manage.py permissions` from `scheduler/domain/permissions.py`; a test fails where the
two differ, and another asserts every cell. Do not edit it by hand.

A row is what an account is trusted with, a column what its person is to the backport: by this
account or by any other name that is known to be theirs. A cell says where the backport may be for
it. Whoever has several roles may what any of them may; a **never** holds whatever the roles and the
other relations. What is not in the table is not permitted.

| letter | the backport is |
| --- | --- |
{letters}
"""

LETTERS = {
    Status.SUBMITTED: "S",
    Status.NEEDS_INFO: "N",
    Status.APPROVED: "A",
    Status.QUEUED: "Q",
    Status.DEPLOYING: "G",
    **dict.fromkeys((status for status in Status if not status.is_open), "E"),
}
_ANYWHERE = "yes"
_NOWHERE = "\N{EN DASH}"


class Command(BaseCommand):
    """Write `docs/permissions.md`."""

    help = "Write docs/permissions.md from the permission table of the code."

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - as Django's own
        """Write the file anew."""
        FILE.write_text(document(), encoding="utf-8")
        self.stdout.write(f"Wrote {FILE}.")


def document() -> str:
    """Return the permission table as Markdown: for each act, by role and relation, the statuses."""
    named = {
        letter: ", ".join(one.value.replace("-", " ") for one in Status if LETTERS[one] == letter)
        for letter in LETTERS.values()
    }
    letters = "\n".join(f"| {letter} | {statuses} |" for letter, statuses in named.items())
    return "\n".join([_PREAMBLE.format(letters=letters), *map(_section, Act)])


def _section(act: Act) -> str:
    about_backport = bool(PERMITS[act].statuses or PERMITS[act].unless)
    relations: tuple[Relation | None, ...] = (None, *(Relation if about_backport else ()))
    names = ["anybody else" if one is None else one.value for one in relations]
    if not about_backport:
        names = ["may"]
    rows = [
        f"| {role.spoken if role else 'no role'} | "
        + " | ".join(_cell(act, role, relation) for relation in relations)
        + " |"
        for role in (None, *Role)
    ]
    head = f"| role | {' | '.join(names)} |\n|{' --- |' * (len(names) + 1)}"
    return "\n".join([f"## {act.value.replace('-', ' ').capitalize()}", "", head, *rows, ""])


def _cell(act: Act, role: Role | None, relation: Relation | None) -> str:
    permit = PERMITS[act]
    if relation in permit.unless:
        return "**never**"
    actor = Actor("somebody", frozenset({role} if role else ()))
    held = frozenset({relation} if relation else ())
    if not permit.statuses:
        return _ANYWHERE if may(actor, act, held) else _NOWHERE
    where = dict.fromkeys(
        letter for status, letter in LETTERS.items() if may(actor, act, held, status)
    )
    return "".join(where) or _NOWHERE
