"""Mail into files, by somebody who may be slow, or die before it is noted that the mail went."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend

from tests.faults.kills import die, disarmed, wait_at

AFTER_MAIL = "after-mail"  # whoever first comes here dies
BEFORE_MAIL = "before-mail"  # everybody waits here until the point is disarmed


class DyingBackend(EmailBackend):
    """Django's own, but for the two points."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the mails; the file is whole and closed when we die."""
        wait_at(BEFORE_MAIL)
        sent = super().send_messages(email_messages)
        if disarmed(AFTER_MAIL):
            die()
        return sent or 0
