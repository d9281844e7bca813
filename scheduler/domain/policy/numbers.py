"""The policy's numbers and when they were in force."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True)
class Numbers:
    """The thresholds of one version of the policy. All are 0 or more.

    Attributes:
        max_patches: slots of a window; two live branches cost two.
        multi_sync_ban: whether a config commit that needs several syncs in order must be split.
        minutes_per_patch: planning value for one patch, minutes.
        l10n_extra_minutes: what building the localisation cache costs once per sync, minutes.
        beta_only_minutes: a merge without a sync, minutes.
        last_start_minute: no step starts later than this many minutes into the window.
        train_horizon_hours: what the train brings within this time should wait for it.
        coupled_train_horizon_hours: the same where several repositories are involved.
    """

    max_patches: int = 6
    multi_sync_ban: bool = False
    minutes_per_patch: int = 10
    l10n_extra_minutes: int = 20
    beta_only_minutes: int = 2
    last_start_minute: int = 50
    train_horizon_hours: int = 24
    coupled_train_horizon_hours: int = 168


# Source: `policy.md`, "Numbers, and when they were in force".
HISTORY: tuple[tuple[date, Numbers], ...] = (
    (date(2014, 1, 1), Numbers(max_patches=8, last_start_minute=60)),
    (date(2018, 4, 30), Numbers(max_patches=4, multi_sync_ban=True)),
    (date(2019, 8, 1), Numbers(max_patches=6, multi_sync_ban=True)),
    (date(2022, 2, 1), Numbers(max_patches=6)),
)


def numbers_in_force(moment: datetime) -> Numbers:
    """Return the numbers in force on the day (UTC) of this moment; before 2014 those of 2014."""
    day = moment.astimezone(UTC).date()
    place = bisect_right(HISTORY, day, key=lambda entry: entry[0])
    return HISTORY[max(place - 1, 0)][1]
