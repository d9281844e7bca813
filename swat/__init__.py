"""The project: settings, the top of the URLs, and the processes that serve them."""

from swat.celery import app as celery_app

__all__ = ["celery_app"]
