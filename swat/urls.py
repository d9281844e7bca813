"""The top of the URLs: everything is the scheduler's, but for the support staff's admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("scheduler.urls")),
]

# What breaks on our side shows 500.html, which needs neither database nor session.
handler400 = "scheduler.views.errors.bad_request"
handler403 = "scheduler.views.errors.forbidden"
handler404 = "scheduler.views.errors.not_found"
