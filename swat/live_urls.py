"""What the events process serves, and nothing else."""

from django.urls import path

from scheduler.views import live

urlpatterns = [
    path("events/windows/<int:pk>", live.watch),
    path("healthz", live.healthz),
]
