"""The forms of a page, filled in as a person does: what it shows stays, what it lacks is typed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

TYPED = "Nothing is lost, and nothing happens twice."


@dataclass
class Form:
    """A form as it was rendered.

    Attributes:
        action: where it leads to.
        fields: name and value of all that a browser would send, no button included.
        wanting: names of what has to be filled in, and is empty.
        buttons: name and value of the buttons that have both.
    """

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    wanting: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **typed: str) -> dict[str, list[str]]:
        """Return what is sent once somebody typed this, and a sentence wherever one is wanting."""
        sent: dict[str, list[str]] = {}
        for name, value in self.fields:
            sent.setdefault(name, []).append(value)
        sent |= {name: [TYPED] for name in self.wanting}
        return sent | {name: [value] for name, value in typed.items()}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._prose: tuple[str, bool] | None = None
        self._text = ""
        self._select = ""
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""))
            self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            self._input(self._form, name, given)
        elif tag == "textarea":
            self._prose, self._text = (name, "required" in given), ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((given.get("value", ""), "selected" in given))
        elif tag == "button" and name:
            self._form.buttons.append((name, given.get("value", "")))

    @staticmethod
    def _input(form: Form, name: str, given: dict[str, str]) -> None:
        if given.get("type") in {"checkbox", "radio"} and "checked" not in given:
            return
        value = given.get("value", "on" if given.get("type") == "checkbox" else "")
        if value or "required" not in given:
            form.fields.append((name, value))
        else:
            form.wanting.append(name)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "textarea" and self._prose is not None:
            name, is_required = self._prose
            text = self._text.strip()
            if is_required and not text:
                self._form.wanting.append(name)
            else:
                self._form.fields.append((name, text))
            self._prose = None
        elif tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen]
            first = [value for value, _ in self._options if value]
            self._form.fields += [(self._select, value) for value in (chosen or first)[:1]]
            self._select = ""
        elif tag == "form":
            self._form = None


def forms_in(html: str) -> list[Form]:
    """Return the forms of a page."""
    reader = _Reader()
    reader.feed(html)
    return reader.forms


def form_to(html: str, action: str) -> Form:
    """Return the form of a page that leads to `action` and has a key, or just leads there."""
    forms = forms_in(html)
    found = [form for form in forms if form.action == action]
    assert found, f"No form leads to {action}, only {[form.action for form in forms]}"
    return found[0]
