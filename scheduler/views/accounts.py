"""Signing in and out."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from scheduler.models import User
from scheduler.views.http import local_address
from scheduler.views.reauthentication import note_authentication
from swat.embedded.cast import CAST


def _next_of(request: HttpRequest) -> str:
    """Return where to go afterwards: an address of ours, or the calendar."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    return local_address(request, wanted, otherwise="/")


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in with a password; the demo also offers its cast."""
    form = AuthenticationForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        note_authentication(request)
        return redirect(_next_of(request))
    context = {
        "form": form,
        "next": _next_of(request),
        "cast": CAST if settings.SWAT_DEMO else (),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "scheduler/accounts/sign_in.html", context, status=status)


@login_not_required
@require_POST
def demo_sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the cast, in the demo only."""
    username = request.POST.get("username", "")
    if not settings.SWAT_DEMO or username not in {person.username for person in CAST}:
        raise Http404
    user = get_object_or_404(User, username=username, is_active=True)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    note_authentication(request)
    return redirect(_next_of(request))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign out."""
    logout(request)
    return redirect("sign-in")
