"""The second factor: codes of an authenticator app, and a few on paper for when it is lost."""

from dataclasses import dataclass
from typing import Any

import qrcode
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from django import forms
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from scheduler.services.limits import TooManyAttempts
from scheduler.services.people import note_own_security
from scheduler.views.http import UNUSABLE, local_address
from scheduler.views.signing_in import counted, just_signed_in, spent_once, too_many

_QUIET_ZONE = 4  # modules of white around the code, as its standard asks


class CodeForm(AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """A code of the app, or one on paper; each works once."""

    def clean_code(self) -> str:
        """Refuse a code that is wrong, or was used.

        Raises:
            ValidationError: it was.
        """
        code: str = super().clean_code()
        if not spent_once(self.user, code):
            raise forms.ValidationError("This code was used already; wait for the next one.")
        return code


class _SaysWhatIsWrong:
    """Answers 422 where a form was not usable, as every page of ours does."""

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:  # noqa: ANN401 - as Django's own
        form = context.get("form")
        if form is not None and form.is_bound and form.data and not form.is_valid():
            kwargs["status"] = UNUSABLE
        answer: HttpResponse = super().render_to_response(context, **kwargs)  # type: ignore[misc]
        return answer


class Authenticate(_SaysWhatIsWrong, AuthenticateView):  # type: ignore[misc]
    """Asks for the code of whoever gave the right password, or came by the provider."""

    form_class = CodeForm

    def post(self, *args: object, **kwargs: object) -> HttpResponse:
        """Count the attempt, then judge it."""
        account = self.stage.login.user.get_username()
        try:
            with counted(self.request, "code", account) as was_right:
                answer: HttpResponse = super().post(*args, **kwargs)
                if self.form.is_valid():
                    was_right()
        except TooManyAttempts as refusal:
            return too_many(self.request, refusal)
        return answer


class Activate(_SaysWhatIsWrong, ActivateTOTPView):  # type: ignore[misc]
    """Shows the secret for the app, as a picture and in letters, and checks its first code."""

    def get_context_data(self, **kwargs: object) -> dict[str, Any]:
        """Add the picture as data for the template, which draws it."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        secret = context["form"].secret
        url = get_adapter().build_totp_url(self.request.user, secret)
        letters = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        return {
            **context,
            "qr": picture_of(url),
            "secret": " ".join(letters),
            "next": self._next(),
        }

    @transaction.atomic
    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Store it, with the event; its first code signs nobody in."""
        answer: HttpResponse = super().form_valid(form)
        spent_once(self.request.user, form.cleaned_data["code"])
        note_own_security(by=self.request.user, what="add-second-factor")
        return answer

    def get_success_url(self) -> str:
        """Return the page of the codes to write down, which leads on."""
        return f"{reverse('mfa_view_recovery_codes')}?{urlencode({'next': self._next()})}"

    def _next(self) -> str:
        wanted = self.request.POST.get("next") or self.request.GET.get("next") or ""
        return local_address(self.request, wanted, otherwise=reverse("profile"))


class Deactivate(_SaysWhatIsWrong, DeactivateTOTPView):  # type: ignore[misc]
    """Asks whether the second factor shall go, and removes it."""

    def get_success_url(self) -> str:
        """Return the profile, which shows it."""
        return reverse("profile")

    @transaction.atomic
    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Remove it, with the event."""
        answer: HttpResponse = super().form_valid(form)
        note_own_security(by=self.request.user, what="remove-second-factor")
        return answer


class RecoveryCodes(ViewRecoveryCodesView):  # type: ignore[misc]
    """Shows the codes on paper that are left."""

    def get_context_data(self, **kwargs: object) -> dict[str, Any]:
        """Add where to go on to."""
        wanted = self.request.GET.get("next", "")
        onward = local_address(self.request, wanted, otherwise=reverse("profile"))
        return {**super().get_context_data(**kwargs), "next": onward}


class NewRecoveryCodes(_SaysWhatIsWrong, GenerateRecoveryCodesView):  # type: ignore[misc]
    """Makes other codes; those before work no more."""

    @transaction.atomic
    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Make them, with the event."""
        answer: HttpResponse = super().form_valid(form)
        note_own_security(by=self.request.user, what="make-recovery-codes")
        return answer


@dataclass(frozen=True, slots=True)
class Picture:
    """A QR code as a template draws it.

    Attributes:
        side: its length in modules, with the white around it.
        path: the dark modules, as the `d` of an SVG path.
    """

    side: int
    path: str


def picture_of(text: str) -> Picture:
    """Return the QR code of a text."""
    code = qrcode.QRCode(border=_QUIET_ZONE)
    code.add_data(text)
    code.make(fit=True)
    rows = code.get_matrix()
    dark = (
        f"M{x} {y}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    return Picture(len(rows), "".join(dark))


authenticate = login_not_required(Authenticate.as_view())
activate = just_signed_in(Activate.as_view())
deactivate = just_signed_in(Deactivate.as_view())
recovery_codes = just_signed_in(RecoveryCodes.as_view())
new_recovery_codes = just_signed_in(NewRecoveryCodes.as_view())
