"""Open questions: who is told that they can answer, each answer by one button, and the lock."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import Backport, Statement, User, Window
from scheduler.services.windows import lock_window
from tests.factories import approve, fetched, fetched_fix, make_backport, make_window
from tests.views.conftest import CIRRUS, EVENTS, Book
from tests.views.test_windows import answer_of

As = Callable[[str], Client]
BUG = "Change\n\nBug: T4711\nChange-Id: I{:040x}"


@pytest.fixture
def asked(cast: dict[str, User]) -> Window:
    """A window with a question about 1 of Ada and 2 of Rel, and with 3, which may go."""
    window = make_window()
    make_backport(window, cast["ada"], fetched(1, message=BUG.format(1)))
    make_backport(window, cast["rel"], *fetched_fix(2, message=BUG.format(2)))
    approve(make_backport(window, cast["ada"], fetched(3)), cast["rae"])
    window.deployers.add(cast["dev"])
    return window


def test_a_deployer_reads_who_can_answer_what_keeps_the_window_unlocked(
    asked: Window, as_: As
) -> None:
    text = as_("dev").get(f"/windows/{asked.pk}").content.decode()

    assert "<bdi>ada</bdi> and <bdi>rel</bdi> can, who asked for them" in text
    assert "any reviewer: <bdi>rae</bdi>, <bdi>rel</bdi>" in text
    assert '<a href="#question-1-2">how 1 and 2 belong together</a>' in text


def test_the_refused_lock_names_who_can_answer(asked: Window, as_: As) -> None:
    sent = {**answer_of(asked), "key": str(uuid4())}

    answer = as_("dev").post(f"/windows/{asked.pk}/lock", sent)

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "how 1 and 2 belong together: ada or rel can, and so can any reviewer (rae, rel)" in text


def test_the_backport_says_who_has_to_answer(asked: Window, as_: As) -> None:
    backport = Backport.objects.get(change__number=1)

    text = as_("dev").get(f"/backports/{backport.pk}").content.decode()

    assert "ada or rel or any reviewer has to say how it belongs together with 2." in text


@pytest.mark.parametrize(
    ("name", "way"), [("dev", "or unlock it first"), ("ada", "or ask who deploys it: dev")]
)
def test_a_locked_window_says_what_each_reader_can_do(
    cast: dict[str, User], as_: As, name: str, way: str
) -> None:
    window = make_window()
    window.deployers.add(cast["dev"])
    approve(make_backport(window, cast["ada"]), cast["rae"])
    shown = answer_of(window)["plan_fingerprint"]
    lock_window(window=window, by=cast["dev"], plan_fingerprint=str(shown))

    text = as_(name).get(f"/windows/{window.pk}").content.decode()

    assert f"This window is locked; choose another one, {way}." in text


@pytest.mark.parametrize("alone", ["nothing", "degraded", "outage"])
def test_one_button_says_which_is_first_and_what_breaks(
    book: Book, as_: As, october: Window, alone: str
) -> None:
    book(EVENTS)
    book(CIRRUS)
    page = as_("ada").get(f"/windows/{october.pk}").content.decode()
    assert f'value="b-first:{alone}"' in page
    sent = {**answer_of(october, answer=f"b-first:{alone}"), "only_first": ""}

    assert as_("ada").post(f"/windows/{october.pk}/answer", sent).status_code == 302

    said = Statement.objects.get()
    assert (said.first.number, said.then.number, said.only_first) == (EVENTS, CIRRUS, alone)
