"""The hour of the hostile story: a window of it is driven, by the forms that its pages show.

Four backports, four ends: one goes out although Gerrit does not answer, breaks and is left; one
fails, is left merged, and reverted then; one is missed, and one is left when the window is closed.
What was reverted is booked again.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from uuid import uuid4

from django.urls import Resolver404, resolve, reverse
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.domain.permissions import Role, Scope
from scheduler.models import Backport, Lease, RunItem, RunStep, Window
from scheduler.services.tokens import make_token
from tests.markup import TextControl
from tests.views.hostile_story import Story, signed_in, text_of

SHARE = 240  # characters of one text in a field: most of the strings are whole in it
MINUTE = timedelta(minutes=1)
TESTER = "tester"  # of the first backport: the account that is called like its text
DEPUTY, BYSTANDER = "deputy", "bystander"  # two that are called like those of other windows


@dataclass
class Hour:
    """One window of a story, from the wheel to the summary."""

    story: Story
    window: Window

    def __post_init__(self) -> None:
        self._texts = cycle(range(self.story.amount))
        first, *_, last_but_one, last = self.story.strangers
        grant_roles(last_but_one, Role.DEPLOYER)
        for name, person in ((TESTER, first), (DEPUTY, last_but_one), (BYSTANDER, last)):
            self.story.clients[name] = signed_in(person)

    def tell(self) -> None:
        """Drive it."""
        self.take_the_wheel()
        self.go_without_gerrit()
        self.fail_and_revert()
        self.close()
        self.book_again()

    def take_the_wheel(self) -> None:
        """Take it, take it over, hand it back; begin, and say who is there."""
        start = timezone.now() - 5 * MINUTE
        Window.objects.filter(pk=self.window.pk).update(start=start, end=start + 60 * MINUTE)
        self.do("dev", "deploy-take")
        long_ago = start - 10 * MINUTE
        Lease.objects.filter(window=self.window).update(taken_at=long_ago, until=start)
        self.do(DEPUTY, "deploy-take", reason=self.words(500))
        self.do(DEPUTY, "deploy-offer", to="dev", note=self.words(500))
        self.story.look(BYSTANDER, "deploy", self.window, mark="offered")
        self.story.look(BYSTANDER, "deploy-text", self.window, "md", mark="offered")
        self.do("dev", "deploy-accept")
        self.do("dev", "deploy-begin")
        for who in ("ada", TESTER):
            self.do(who, "backport-check-in")

    def go_without_gerrit(self) -> None:
        """Start the first step without Gerrit, on the word of a second person; it breaks later."""
        self.story.gerrit.status = 503
        self.do("dev", "deploy-start", position=1)
        self.do("rae", "deploy-vouch", position=1, reason=self.words(500))
        self.do("dev", "deploy-start", position=1)
        self.story.gerrit.status = 200
        self.tick_until(1, "verify")
        self.story.deliver()
        self.look_around("verifying")
        self.tick(TESTER)
        self.story.look(BYSTANDER, "replay", self.window, mark="verified")
        self.tick_until(1, "")
        self.do("dev", "deploy-fail", position=1, output=self.words(2000))
        self.do("dev", "deploy-choose", position=1, choice="leave", reason=self.words(500))

    def fail_and_revert(self) -> None:
        """Let the second step fail for its tester; it is left merged, then reverted."""
        self.do("dev", "deploy-start", position=2)
        self.tick_until(2, "merge")
        self.report(2, "merged")
        self.tick_until(2, "verify")
        self.do("ada", "deploy-fail", position=2, output=self.words(2000))
        self.story.deliver()
        self.look_around("failed")
        self.do("dev", "deploy-choose", position=2, choice="leave", reason=self.words(500))
        self.do("dev", "deploy-choose", position=2, choice="revert", reason=self.words(500))
        self.report(2, "failed")
        self.tick_until(2, "")

    def close(self) -> None:
        """Let the third step be missed and the fourth be left, and close the window."""
        self.do("dev", "deploy-miss", position=3, why="absent", reason=self.words(500))
        self.do("dev", "deploy-extend", minutes=5, reason=self.words(500))
        self.do("dev", "deploy-close", reason=self.words(500))
        self.look_around("closed")
        self.story.deliver()

    def book_again(self) -> None:
        """Book again what was reverted, by its page and by the form for new ones."""
        story, later = self.story, self.story.windows[2]
        old = Backport.objects.get(window=self.window, status="reverted")
        story.look("ada", "backport", old, mark="reverted")
        differs = self.words(2000)
        story.post("ada", "backport-book-again", old, window=later.pk, what_differs=differs)
        new = Backport.objects.latest("pk")
        story.look("rae", "backport", new, mark="again")
        story.look("rae", "review-inbox", mark="again")
        story.post("ada", "backport-withdraw", new, reason=self.words(500))
        which = old.change.number - 1000
        story.book(which, (409,), window=later.pk)
        story.book(which, window=later.pk, what_differs=differs)
        story.look("rae", "backport", Backport.objects.latest("pk"), mark="new")

    def words(self, longest: int) -> str:
        """Return the texts whose turn it is, as many as a field has room for."""
        count = min(longest // SHARE, self.story.amount)
        return " ".join(self.story.words(next(self._texts), SHARE) for _ in range(count))

    def do(self, who: str, name: str, *, position: int | None = None, **typed: object) -> None:
        """Send a form that somebody's page shows, as it is shown, with what is typed."""
        mark = f"{name} {position or ''}"
        controls = self.story.page_of(who, "deploy", self.window, mark=mark).controls
        address = next(one.action for one in controls if _is_of(one, name, position))
        shown = {one.name: one.value for one in controls if one.action == address and one.is_hidden}
        self.story.send(who, address, {**shown, **typed}, about=self.window)

    def tick(self, who: str) -> None:
        """Do the first item that somebody's page offers, with a proof."""
        self.do(who, "deploy-tick", proof=self.words(2000))

    def tick_until(self, position: int, kind: str) -> None:
        """Do what is left of a step before the items of a kind; "" is all."""
        undone = RunItem.objects.filter(
            step__run__window=self.window, step__position=position, done_at__isnull=True
        ).order_by("place")
        if RunStep.objects.get(run__window=self.window, position=position).back:
            undone = undone.filter(kind__contains="back")
        while (item := undone.first()) is not None and item.kind != kind:
            self.tick("ada" if item.kind == "verify" else "dev")

    def report(self, position: int, what: str) -> None:
        """Have a program of the driver's report about a step, with the texts as its output.

        It sends JSON, which is refused where it holds what is no text.
        """
        step = RunStep.objects.get(run__window=self.window, position=position)
        lease = Lease.objects.get(window=self.window, ended_at__isnull=True)
        rel = self.story.people["rel"]
        token = make_token(owner=lease.holder, by=rel, name=what, scope=Scope.DEPLOY)
        output = self.words(2000).replace("\0", "").encode(errors="replace").decode()
        answer = self.story.clients["dev"].post(
            reverse("api-step-report", args=[step.pk]),
            json.dumps({"report": what, "lease": lease.number, "output": output}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())},
        )
        assert answer.status_code == 200, text_of(answer)

    def look_around(self, mark: str) -> None:
        """Look at everything that shows how far the window is, as everybody.

        Whoever does something looks at its page before; so this is for a few moments only.
        """
        for who in ("dev", "ada", TESTER, BYSTANDER):
            self.story.look(who, "deploy", self.window, mark=mark)
        for name in ("window", "window-checklist", "replay", "api-checklist"):
            self.story.look(BYSTANDER, name, self.window, mark=mark)
        for kind in ("txt", "md"):
            self.story.look(BYSTANDER, "deploy-text", self.window, kind, mark=mark)
        for who in ("dev", "ada"):
            self.story.look(who, "calendar", mark=mark)


def _is_of(control: TextControl, name: str, position: int | None) -> bool:
    """Return whether a field belongs to a form with such an address, of such a step."""
    try:
        found = resolve(control.action)
    except Resolver404:  # the page's own
        return False
    return found.url_name == name and position in {None, found.kwargs.get("position")}
