"""For support staff: everything can be looked at, nothing can be changed.

It is a site of its own: what Django and allauth register with theirs (groups, which are roles here,
and the secrets of second factors) is not in it.
"""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.http import urlencode

from scheduler import models

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[models.User]
else:  # at run time the class takes no parameter
    ModelAdmin = admin.ModelAdmin


class SupportSite(admin.AdminSite):
    """Django's admin, behind our own sign-in, with its limits and its second factor."""

    site_header = site_title = "SWAT windows: support"

    @method_decorator(login_not_required)
    def login(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Lead to the sign-in."""
        return redirect(f"/sign-in?{urlencode({'next': request.GET.get('next', '/admin/')})}")


class ReadOnly(ModelAdmin):
    """Shows rows; adding, changing and deleting are the services' business."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


class UserAdmin(ReadOnly):
    """Shows accounts without their password hashes."""

    exclude = ("password",)


site = SupportSite(name="admin")
site.register(models.User, UserAdmin)
site.register(
    [
        models.Change,
        models.TrainVersion,
        models.Promotion,
        models.GroupMove,
        models.Freeze,
        models.WindowSeries,
        models.Window,
        models.EmergencyConfirmation,
        models.Backport,
        models.Review,
        models.Statement,
        models.Question,
        models.Plan,
        models.Lease,
        models.Run,
        models.RunStep,
        models.RunItem,
        models.Presence,
        models.Event,
        models.Delivery,
    ],
    ReadOnly,
)
