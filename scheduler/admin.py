"""For support staff: everything can be looked at, nothing can be changed."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from scheduler import models

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[models.User]
else:  # at run time the class takes no parameter
    ModelAdmin = admin.ModelAdmin


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


admin.site.register(models.User, UserAdmin)
admin.site.register(
    [
        models.Change,
        models.TrainVersion,
        models.Promotion,
        models.Freeze,
        models.Window,
        models.Backport,
        models.Review,
        models.Statement,
        models.Question,
        models.Plan,
        models.Event,
        models.Delivery,
    ],
    ReadOnly,
)
