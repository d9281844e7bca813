"""Reading pages strictly: what a browser would repair, or what escaping would never write, fails.

Our pages close every element, and escaped text holds no bare `<` and five references only. So text
that got out of its place shows as an element, an attribute, a reference or a stray sign.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

Attributes = Sequence[tuple[str, str | None]]

VOID = frozenset({"input", "link", "meta", "br", "img", "hr"})
ADDRESSES = frozenset({"href", "src", "action", "formaction", "hx-get", "hx-post"})
ESCAPED = frozenset({"lt", "gt", "amp", "quot"})
# This site, the two that it works with, and those that the sources of rules are on.
OURS = frozenset(
    {
        "",
        "gerrit.wikimedia.org",
        "spiderpig.wikimedia.org",
        "wikitech.wikimedia.org",
        "phabricator.wikimedia.org",
    }
)
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufffe\uffff]"
)
_NAME = re.compile(r"[a-z][a-z0-9:-]*", re.IGNORECASE)


@dataclass
class TextControl:
    """Where somebody may type, or where a page sends a text along.

    Attributes:
        action: the address that it is sent to; "" is the page's own.
        name: what it is sent as.
        is_hidden: whether the page filled it in.
        value: with what; "" in a text area, whatever stands in it.
    """

    action: str
    name: str
    is_hidden: bool
    value: str = ""


@dataclass
class Page(HTMLParser):
    """A page or a part of one.

    Attributes:
        shape: how often each element and each of its attributes stands in it.
        controls: the texts that its forms send.
        wrong: what is not as our templates write it.
    """

    shape: Counter[str] = field(default_factory=Counter)
    controls: list[TextControl] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._open: list[str] = []
        self._action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, which has to be closed."""
        self._note(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element of a picture, which closes itself."""
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which this has to be."""
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")
        if tag == "form":
            self._action = ""

    def handle_data(self, data: str) -> None:
        """Look at text as it was sent."""
        if ("<" in data or ">" in data) and self._open[-1:] != ["script"]:
            self.wrong.append(f"bare in text: {data[:80]!r}")

    def handle_entityref(self, name: str) -> None:
        """Look at a named reference."""
        if name not in ESCAPED:
            self.wrong.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Look at a numbered reference."""
        if name not in {"39", "x27"}:
            self.wrong.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Refuse it: our templates send none."""
        self.wrong.append(f"comment {data[:80]!r}")

    def handle_pi(self, data: str) -> None:
        """Refuse it."""
        self.wrong.append(f"instruction {data[:80]!r}")

    def unknown_decl(self, data: str) -> None:
        """Refuse it."""
        self.wrong.append(f"declaration {data[:80]!r}")

    def close(self) -> None:
        """End, with everything closed."""
        super().close()
        if self._open:
            self.wrong.append(f"never closed: {self._open}")

    def _note(self, tag: str, attrs: Attributes) -> None:
        self.shape[tag] += 1
        names = [name for name, _ in attrs]
        self.shape.update(f"{tag} {name}" for name in names)
        if len(set(names)) != len(names):
            self.wrong.append(f"<{tag}> has an attribute twice: {names}")
        self.wrong += [f"<{tag} {name!r}>" for name in names if not _NAME.fullmatch(name)]
        given = {name: value or "" for name, value in attrs}
        self.wrong += [
            f"<{tag}> leads to {given[name][:80]!r}"
            for name in ADDRESSES & given.keys()
            if not leads_to_ours(given[name])
        ]
        if tag == "form":
            self._action = given.get("action", "")
        kind = given.get("type", "text")
        is_text = tag == "textarea" or (tag == "input" and kind in {"text", "search", "hidden"})
        if is_text and given.get("name"):
            self.controls.append(
                TextControl(self._action, given["name"], kind == "hidden", given.get("value", ""))
            )


def leads_to_ours(address: str) -> bool:
    """Return whether an address is one of this site, or of those that it links to."""
    parts = urlsplit(address)
    if parts.scheme == "otpauth":  # an authenticator app on this machine
        return parts.netloc == "totp"
    return parts.scheme in {"", "https"} and parts.netloc in OURS and "\\" not in address


def read(html: str) -> Page:
    """Return what is in a page, and all that is wrong with it."""
    page = Page()
    page.feed(html)
    page.close()
    if unprintable := unprintable_in(html):
        page.wrong.append(unprintable)
    return page


def unprintable_in(text: str) -> str:
    """Return where a text would control a screen, or turn the direction of writing; "" if never."""
    found = CONTROL.search(text)
    return ascii(text[max(found.start() - 60, 0) : found.end() + 20]) if found else ""


def more_than(page: Page, other: Iterable[Page]) -> Counter[str]:
    """Return the elements and attributes that a page has more of than any of the others."""
    shapes = [one.shape for one in other]
    most = Counter({name: max(shape[name] for shape in shapes) for name in page.shape})
    return page.shape - most
