"""What people and files say of the train, and what follows for backports and their people."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from scheduler.domain.changes import ChangeStatus
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.models import Backport, Event, GroupMove, Promotion, TrainVersion, User, Window
from scheduler.queries import newest_plan, production_at
from scheduler.services import train
from scheduler.services.backports import submit_backport
from scheduler.services.changes import refresh_open_windows
from scheduler.services.histories import wrong_statuses
from scheduler.services.moving import book_again
from scheduler.services.reviews import send_to_train
from scheduler.services.train import VersionFacts, state_of_train
from tests.factories import answers, fetched_fix, make_backport, make_train, make_window

DAY = timedelta(days=1)
OLD, NEW = "1.47.0-wmf.30", "1.47.0-wmf.31"


@pytest.fixture
def versions(db: None) -> tuple[TrainVersion, TrainVersion]:
    return make_train(timezone.now())


def kinds() -> list[str]:
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


def live() -> dict[str, str]:
    return dict(production_at(timezone.now()).live)


def left_to_the_train(window: Window, ada: User, rel: User, *, riding: str = NEW) -> Backport:
    """Return a backport of a fix that a version brings, left to the train by a person."""
    fix, merged = fetched_fix(2000, included_in=frozenset({f"wmf/{riding}"}))
    backport = make_backport(window, ada, fix, merged)
    send_to_train(backport=backport, by=rel, fingerprint=backport.fingerprint, reason="It can.")
    return backport


Act = Callable[[TrainVersion, TrainVersion, User, str | None], object]
ACTS: dict[str, tuple[Act, str]] = {
    "plan": (
        lambda _old, _new, by, state: train.plan_version(
            facts=VersionFacts("1.47.0-wmf.32"), by=by, state=state
        ),
        "train.plan",
    ),
    "promote": (
        lambda _old, new, by, state: train.promote_group(
            version=new, group="group1", by=by, state=state or state_of_train()
        ),
        "train.promote",
    ),
    "roll back": (
        lambda old, _new, by, state: train.roll_back_group(
            version=old, group="group0", by=by, state=state or state_of_train(), reason="T4711"
        ),
        "train.roll-back",
    ),
    "hold": (
        lambda _old, new, by, state: train.hold_train(
            version=new, by=by, reason="T4711", state=state
        ),
        "train.hold",
    ),
    "import": (
        lambda _old, _new, by, state: train.import_versions(
            served={"group1": NEW}, by=by, source="wikiversions.json", state=state
        ),
        "train.import",
    ),
}


@pytest.mark.parametrize("name", ACTS)
def test_each_act_logs_one_event(
    name: str, versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    does, kind = ACTS[name]
    before = state_of_train()

    does(*versions, rel, before)

    assert kinds() == [kind]
    assert state_of_train() != before


@pytest.mark.parametrize("name", ACTS)
def test_nobody_else_moves_the_train(
    name: str, versions: tuple[TrainVersion, TrainVersion], dev: User
) -> None:
    does, _ = ACTS[name]
    with pytest.raises(NotPermitted, match="Only a release engineer may move the train"):
        does(*versions, dev, None)
    assert kinds() == []


@pytest.mark.parametrize("name", ACTS)
def test_what_was_decided_on_an_old_page_is_refused(
    name: str, versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    does, _ = ACTS[name]
    with pytest.raises(OutOfDate):
        does(*versions, rel, "as it was")
    assert kinds() == []


def test_twice_is_refused(versions: tuple[TrainVersion, TrainVersion], rel: User) -> None:
    old, new = versions
    with pytest.raises(Refused, match="group0 is on"):
        train.promote_group(version=new, group="group0", by=rel, state=state_of_train())
    train.hold_train(version=new, by=rel, reason="T4711")
    with pytest.raises(Refused, match="is held at"):
        train.hold_train(version=new, by=rel, reason="T4711")
    with pytest.raises(Refused, match="Resume it first"):
        train.promote_group(version=new, group="group1", by=rel, state=state_of_train())
    train.resume_train(version=new, by=rel)
    with pytest.raises(Refused, match="is not held"):
        train.resume_train(version=new, by=rel)
    with pytest.raises(Refused, match="checked out already"):
        train.check_out(version=old, by=rel)
    assert kinds() == ["train.hold", "train.resume"]


def test_a_version_is_planned_checked_out_promoted_and_removed(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    now = timezone.now()
    facts = VersionFacts("1.47.0-wmf.32", now + DAY, {"group0": now + 2 * DAY})
    planned = train.plan_version(facts=facts, by=rel)
    later = VersionFacts("1.47.0-wmf.32", now + DAY, {"group1": now + 3 * DAY})
    train.plan_version(facts=later, by=rel)
    assert [one.group for one in planned.promotions.all()] == ["group1"]
    with pytest.raises(Refused, match="not checked out"):
        train.promote_group(version=planned, group="group0", by=rel, state=state_of_train())
    train.check_out(version=planned, by=rel)
    train.promote_group(version=planned, group="group0", by=rel, state=state_of_train())
    assert live()["group0"] == "1.47.0-wmf.32"
    assert planned.promotions.get(group="group0").done_at is not None
    with pytest.raises(Refused, match="serves wikis"):
        train.remove_version(version=planned, by=rel)
    train.remove_version(version=versions[1], by=rel)
    with pytest.raises(Refused, match="not checked out"):
        train.remove_version(version=versions[1], by=rel)


def test_a_version_between_two_takes_its_place(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    for name in ("1.47.0-wmf.29", "1.47.0-wmf.40", "1.47.0-wmf.33"):
        train.plan_version(facts=VersionFacts(name), by=rel)

    names = TrainVersion.objects.order_by("position").values_list("name", flat=True)
    assert [name.rpartition(".")[2] for name in names] == ["29", "30", "31", "33", "40"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (VersionFacts("master"), "is named like"),
        (
            VersionFacts("1.47.0-wmf.9", timezone.now(), {"group0": timezone.now() - DAY}),
            "before its branch is cut",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(facts: VersionFacts, why: str, rel: User) -> None:
    with pytest.raises(Refused, match=why):
        train.plan_version(facts=facts, by=rel)


def test_a_roll_back_wants_a_reason_and_an_older_version(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    old, new = versions
    with pytest.raises(Refused, match="Say why"):
        train.roll_back_group(
            version=old, group="group0", by=rel, state=state_of_train(), reason=" "
        )
    with pytest.raises(Refused, match="is not older"):
        train.roll_back_group(
            version=new, group="group1", by=rel, state=state_of_train(), reason="T4711"
        )
    train.roll_back_group(
        version=old, group="group0", by=rel, state=state_of_train(), reason="T4711"
    )
    assert set(live().values()) == {OLD}
    assert Promotion.objects.get(version=new, group="group0").done_at is None


def test_what_a_file_takes_back_can_be_planned_again(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    for name in (NEW, OLD):
        train.import_versions(served={"group2": name}, by=rel, source="wikiversions.json")
    again = timezone.now() + DAY

    train.plan_version(facts=VersionFacts(NEW, promotions={"group2": again}), by=rel)

    (coming,) = production_at(timezone.now()).schedule
    assert coming.promotions["group2"] == again


def test_a_promotion_that_is_planned_anew_never_counts_back(rel: User) -> None:
    sequences: list[int] = []
    at = timezone.now() + DAY
    for days in (0, 1, None, 2):
        planned = {} if days is None else {"group0": at + days * DAY}
        train.plan_version(facts=VersionFacts(NEW, promotions=planned), by=rel)
        sequences += Promotion.objects.values_list("sequence", flat=True)

    assert sequences == sorted(set(sequences))
    assert len(sequences) == 3


def test_an_older_version_is_no_promotion(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    old, _ = versions
    with pytest.raises(Refused, match="which serves group0: roll it back"):
        train.promote_group(version=old, group="group0", by=rel, state=state_of_train())


def test_a_slip_of_the_pen_is_no_group_and_one_that_was_made_is_retired(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    old, new = versions
    with pytest.raises(Refused, match="Nobody has planned anything for grop2"):
        train.promote_group(version=new, group="grop2", by=rel, state=state_of_train())
    train.import_versions(served={"all": OLD}, by=rel, source="wikiversions.json")
    left = left_to_the_train(window, ada, rel)
    for group in ("group1", "group2"):
        train.promote_group(version=new, group=group, by=rel, state=state_of_train())
    assert Backport.objects.get().status == "train"  # "all" still lacks it

    train.retire_group(group="all", by=rel, reason="That is a list of lists.")

    assert "all" not in live()
    left.refresh_from_db()
    assert left.status == "deployed"
    with pytest.raises(Refused, match="No version serves all"):
        train.retire_group(group="all", by=rel, reason="Again.")
    train.remove_version(version=old, by=rel)


def test_files_are_read_again_without_effect(
    versions: tuple[TrainVersion, TrainVersion],
) -> None:
    served = {"group0": NEW, "group1": "1.47.0-wmf.32", "group2": OLD}

    assert train.import_versions(served=served, by=None, source="wikiversions.json") == 1
    assert train.import_versions(served=served, by=None, source="wikiversions.json") == 0
    assert live() == served
    assert kinds() == ["train.import"]
    with pytest.raises(Refused, match="is not the name of a version"):
        train.import_versions(served={"group0": "master"}, by=None, source="a file")


def test_what_was_left_to_the_train_is_deployed_once_every_group_has_it(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    _, new = versions
    backport = left_to_the_train(window, ada, rel)
    assert backport.rides == NEW
    train.promote_group(version=new, group="group1", by=rel, state=state_of_train())
    assert Backport.objects.get().status == "train"

    train.promote_group(version=new, group="group2", by=rel, state=state_of_train())
    train.follow_the_train(now=timezone.now())

    assert Backport.objects.get().status == "deployed"
    (event,) = Event.objects.filter(kind="backport.arrive")
    assert event.payload == {"version": NEW}


def test_people_are_told_once_that_the_train_comes_later(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    _, new = versions
    backport = left_to_the_train(window, ada, rel)

    train.hold_train(version=new, by=rel, reason="T4711")
    for _ in range(2):
        train.follow_the_train(now=timezone.now())

    assert Backport.objects.get().arrives_at is None
    assert kinds().count("backport.train-late") == 1
    train.resume_train(version=new, by=rel)
    assert Backport.objects.get().arrives_at == backport.arrives_at
    assert kinds().count("backport.train-late") == 1


def test_many_small_delays_are_told_once_they_add_up(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    backport = left_to_the_train(window, ada, rel)
    first = backport.arrives_at
    assert first is not None
    for hours in (8, 16, 24):
        planned = Promotion.objects.filter(version__name=NEW, group="group2")
        planned.update(at=first + timedelta(hours=hours))
        train.follow_the_train(now=timezone.now())

    told = Event.objects.filter(kind="backport.train-late").values_list("payload", flat=True)
    assert [one["before"] for one in told] == [first.isoformat()]
    backport.refresh_from_db()
    assert backport.arrival_told == first + timedelta(hours=16)


def test_a_roll_back_moves_the_arrival(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    old, _ = versions
    backport = left_to_the_train(window, ada, rel)

    train.roll_back_group(
        version=old, group="group0", by=rel, state=state_of_train(), reason="T4711"
    )

    backport.refresh_from_db()
    assert backport.arrives_at is None
    assert kinds().count("backport.train-late") == 1


def test_whoever_a_rule_sent_to_the_train_is_told_when_a_window_serves_them_better(
    versions: tuple[TrainVersion, TrainVersion], ada: User, rel: User
) -> None:
    _, new = versions
    window = make_window(in_hours=40)
    fix, merged = fetched_fix(2000, included_in=frozenset({f"wmf/{NEW}"}))
    make_backport(window, ada, fix, merged)

    def places() -> dict[int, str]:
        plan = newest_plan(window)
        assert plan is not None
        return {row["change"]: row["rule"] for row in plan.result["elsewhere"]}

    assert places() == {2000: "train-arrives-first"}

    train.hold_train(version=new, by=rel, reason="T4711")
    train.follow_the_train(now=timezone.now())

    assert places() == {2000: "not-approved"}
    (event,) = Event.objects.filter(kind="backport.train-late")
    assert event.payload["version"] == NEW


def test_they_are_told_too_when_it_is_the_time_of_a_move_that_passed(
    versions: tuple[TrainVersion, TrainVersion], ada: User
) -> None:
    window = make_window(in_hours=40)
    fix, merged = fetched_fix(2000, included_in=frozenset({f"wmf/{NEW}"}))
    make_backport(window, ada, fix, merged)
    planned = Promotion.objects.filter(done_at__isnull=True)

    for minutes in (1, 119):  # somebody may just not have noted it
        planned.update(at=timezone.now() - timedelta(minutes=minutes))
        train.follow_the_train(now=timezone.now())
    assert "backport.train-late" not in kinds()
    planned.update(at=timezone.now() - timedelta(minutes=121))
    for _ in range(2):
        refresh_open_windows(system=None, now=timezone.now())
        train.follow_the_train(now=timezone.now())

    (event,) = Event.objects.filter(kind="backport.train-late")
    assert event.payload["version"] == NEW


def test_when_the_train_brings_it_is_known_when_it_is_left_to_the_train(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    backport = left_to_the_train(window, ada, rel)

    assert backport.rides == NEW
    last = Promotion.objects.get(version__name=NEW, group="group2")
    assert backport.arrives_at == last.at


def submitted_again(backport: Backport, window: Window, by: User) -> Backport:
    return submit_backport(change=backport.change, window=window, requester=by, answers=answers())


def booked_again(backport: Backport, window: Window, by: User) -> Backport:
    return book_again(backport=backport, by=by, window=window)[0]


@pytest.mark.parametrize("book", [submitted_again, booked_again])
def test_what_is_booked_again_does_not_arrive_by_the_first_request(
    book: Callable[[Backport, Window, User], Backport],
    versions: tuple[TrainVersion, TrainVersion],
    window: Window,
    ada: User,
    rel: User,
) -> None:
    _, new = versions
    left = left_to_the_train(window, ada, rel)

    again = book(left, make_window(in_hours=48), ada)
    for group in ("group1", "group2"):
        train.promote_group(version=new, group=group, by=rel, state=state_of_train())

    left.refresh_from_db()
    assert left.status == "withdrawn"
    (event,) = Event.objects.filter(kind="backport.supersede")
    assert (event.backport_id, event.actor) == (left.pk, ada)
    assert event.payload == {"to": str(again.window), "by": again.pk}
    assert "backport.arrive" not in kinds()
    assert [*wrong_statuses()] == []


def test_what_is_not_merged_never_arrives(
    versions: tuple[TrainVersion, TrainVersion], window: Window, ada: User, rel: User
) -> None:
    fix, _ = fetched_fix(2000, status=ChangeStatus.NEW)
    backport = make_backport(window, ada, fix)
    send_to_train(backport=backport, by=rel, fingerprint=backport.fingerprint, reason="It can.")

    train.follow_the_train(now=timezone.now() + 30 * DAY)

    backport.refresh_from_db()
    assert (backport.status, backport.rides, backport.arrives_at) == ("train", "", None)


def test_a_move_is_never_written_over(
    versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    old, new = versions
    before: datetime = GroupMove.objects.latest("at").at
    train.promote_group(version=new, group="group1", by=rel, state=state_of_train())
    train.roll_back_group(
        version=old, group="group1", by=rel, state=state_of_train(), reason="T4711"
    )

    kept = GroupMove.objects.filter(at__gt=before).values_list("kind", "by__username", "reason")
    assert list(kept) == [("promote", "rel", ""), ("roll-back", "rel", "T4711")]
