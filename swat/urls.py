"""The top of the URLs: everything is the scheduler's, but for the support staff's admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("scheduler.urls")),
]
