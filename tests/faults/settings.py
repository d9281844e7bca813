"""The product's own settings for the processes that are killed; what differs is here."""

import os

from celery.schedules import schedule

from swat.settings import *  # noqa: F403
from swat.settings import CELERY_BEAT_SCHEDULE, STORAGES

EMAIL_BACKEND = "tests.faults.mail.DyingBackend"  # writes files, as the demo's
STORAGES = {
    **STORAGES,
    # No test of these looks at a style sheet, and collecting them takes a second each time.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# How often beat has the outbox swept, and the clock tick, seconds; "" is as in the product.
for _every, _jobs in (
    ("SWAT_FAULTS_SWEEP_SECONDS", ("deliver-events", "send-notifications")),
    ("SWAT_FAULTS_TICK_SECONDS", ("keep-the-calendar", "follow-the-train")),
):
    if _seconds := os.environ.get(_every):
        for _job in _jobs:
            CELERY_BEAT_SCHEDULE[_job].update(
                schedule=schedule(float(_seconds)), options={"expires": float(_seconds)}
            )
