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

# How often beat has the outbox swept, seconds; "" is as in the product.
if every := os.environ.get("SWAT_FAULTS_SWEEP_SECONDS"):
    for _job in ("deliver-events", "send-notifications"):
        CELERY_BEAT_SCHEDULE[_job]["schedule"] = schedule(float(every))
