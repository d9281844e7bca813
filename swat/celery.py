"""The Celery application. Workers and beat start with `celery -A swat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swat.settings")

app = Celery("swat")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
