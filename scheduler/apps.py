"""The app's configuration."""

from django.apps import AppConfig


class SchedulerConfig(AppConfig):
    """The one app of the project."""

    name = "scheduler"
    verbose_name = "SWAT windows"
