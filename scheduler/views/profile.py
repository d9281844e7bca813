"""What people see and decide about themselves."""

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from scheduler.actors import actor_of, has_second_factor, names_of, roles_of
from scheduler.domain.permissions import Act, may
from scheduler.forms import ProfileForm
from scheduler.queries import names_trusted_with
from scheduler.services.feeds import has_feed_key, make_feed_key, revoke_feed_key
from scheduler.services.people import Profile, change_profile, end_sessions
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.providers import identities_of, provider_name
from scheduler.views.signing_in import enter

PAGE = "scheduler/people/profile.html"
_FIELDS = ("time_zone", "nick", "mail_own", "mail_watched", "mail_reviews", "mail_windows")


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: PageRequest) -> HttpResponse:
    """Show who somebody is here, and store what they decide about themselves."""
    user = request.user
    if request.method != "POST":
        return _show(request, _as_stored(request))
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _show(request, form, status=UNUSABLE)

    def effect() -> str:
        change_profile(by=user, profile=Profile(**form.cleaned_data))
        return f"{reverse('profile')}?saved=1"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, form, refusal=result)
    return redirect(result)


@require_POST
def sign_out_elsewhere(request: PageRequest) -> HttpResponse:
    """End all sessions of whoever asks, but for this one."""

    def effect() -> str:
        end_sessions(person=request.user, by=request.user)
        return f"{reverse('profile')}?ended=1"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, ProfileForm(), refusal=result)
    request.user.refresh_from_db()
    enter(request, request.user)
    return redirect(result)


@require_POST
def make_feed(request: PageRequest) -> HttpResponse:
    """Make an address of one's own calendar feed; it is shown in this one answer, never again."""
    made: list[str] = []

    def effect() -> str:
        made.append(make_feed_key(user=request.user))
        return f"{reverse('profile')}?feed=made#feeds"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, _as_stored(request), refusal=result)
    if not made:  # sent twice
        return redirect(result)
    address = settings.PUBLIC_URL.rstrip("/") + reverse("feed-personal", args=made)
    return _show(request, _as_stored(request), feed=address)


@require_POST
def revoke_feed(request: PageRequest) -> HttpResponse:
    """Let the address of one's own calendar feed open nothing any more."""

    def effect() -> str:
        revoke_feed_key(user=request.user)
        return f"{reverse('profile')}?feed=revoked#feeds"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, _as_stored(request), refusal=result)
    return redirect(result)


def _as_stored(request: PageRequest) -> ProfileForm:
    return ProfileForm(initial={name: getattr(request.user, name) for name in _FIELDS})


def _show(
    request: PageRequest,
    form: ProfileForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
    feed: str = "",
) -> HttpResponse:
    user = request.user
    actor = actor_of(user)
    context: dict[str, object] = {
        "section": "profile",
        "form": form,
        "saved": "saved" in request.GET,
        "ended": "ended" in request.GET,
        "roles": sorted(roles_of(user)),
        "barred": actor.barred,
        "givers": names_trusted_with(Act.MANAGE_PEOPLE),
        "other_names": sorted(names_of(user)),
        "has_second_factor": has_second_factor(user),
        "provider": provider_name(),
        "identities": identities_of(user),
        "feed": feed,
        "feed_done": request.GET.get("feed", ""),
        "has_feed": has_feed_key(user),
        "may_manage": may(actor, Act.MANAGE_PEOPLE),
    }
    answer = page(request, PAGE, context, refusal=refusal)
    if refusal is None:
        answer.status_code = status
    return answer
