"""The page of a window that is deployed, used as its forms are: what it shows is what is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.test import Client
from lxml import html

from scheduler.models import Window

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer


@dataclass
class DeployPage:
    """The page as somebody sees it, with its forms by address."""

    client: Client
    window: Window

    @property
    def address(self) -> str:
        """Where it is."""
        return f"/windows/{self.window.pk}/deploy"

    @property
    def text(self) -> str:
        """What it says, as HTML."""
        answer = self.client.get(self.address)
        assert answer.status_code == 200
        text: str = answer.content.decode()
        return text

    def forms(self) -> dict[str, dict[str, str]]:
        """Return its forms: address to what each sends if nothing is typed."""
        return dict(self._forms())

    def _forms(self) -> Iterator[tuple[str, dict[str, str]]]:
        for form in html.fromstring(self.text).xpath("//form"):
            fields = form.xpath(".//input[@type='hidden' or @type='text'] | .//textarea")
            sent = {field.get("name"): field.get("value") or field.text or "" for field in fields}
            sent |= {one.get("name"): one.value or "" for one in form.xpath(".//select")}
            yield form.get("action"), sent

    def send(self, what: str, **typed: object) -> "Answer":
        """Send the form whose address ends like this, as it is shown, with what is typed."""
        found = [one for one in self.forms().items() if one[0].endswith(what)]
        assert len(found) == 1, (what, [address for address, _ in self.forms().items()])
        address, sent = found[0]
        return self.client.post(address, {**sent, **typed})

    def offers(self, what: str) -> bool:
        """Return whether there is a form whose address ends like this."""
        return any(address.endswith(what) for address in self.forms())

    def items(self) -> list[str]:
        """Return the addresses of the items that can be done now."""
        return [address for address in self.forms() if "/items/" in address]

    def tick(self, **typed: object) -> "Answer":
        """Do the first item that the page offers."""
        return self.send(self.items()[0], **typed)
