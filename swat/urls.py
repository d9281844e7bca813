"""The top of the URLs: everything is the scheduler's, but for the support staff's admin."""

from django.urls import include, path
from django.views.generic import RedirectView

from scheduler.admin import site

urlpatterns = [
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", site.urls),
    path("", include("scheduler.urls")),
]

# What breaks on our side shows 500.html or 503.html, which need neither database nor session.
handler400 = "scheduler.views.errors.bad_request"
handler403 = "scheduler.views.errors.forbidden"
handler404 = "scheduler.views.errors.not_found"
handler500 = "scheduler.views.errors.server_error"
