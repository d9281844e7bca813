"""What people paste to name a change. It is only read: no address that somebody typed is asked."""

import re
from urllib.parse import urlsplit

from scheduler.adapters.ports import Unreadable
from scheduler.domain.changes import folded_change_id

_LONGEST = 2000  # characters
_NUMBER = r"[1-9][0-9]{0,8}"
_ID = r"I[0-9a-fA-F]{7,40}"

_PLAIN = re.compile(
    rf"(?:gerrit:\s*)?(?P<named>{_NUMBER}|{_ID})"
    rf"|\{{\{{\s*gerrit\s*\|\s*(?P<wiki>{_NUMBER}|{_ID})\s*\}}\}}",
    re.ASCII | re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://)?(?P<rest>.*)", re.ASCII | re.I | re.S)
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_AFTER_NUMBER = r"(?:/[0-9]+(?:\.\.[0-9]+)?(?:/.*)?|/)?"
_WAYS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:c/)?({_NUMBER}){_AFTER_NUMBER}",
        rf"c/[A-Za-z0-9][A-Za-z0-9._/%-]*/\+/({_NUMBER}){_AFTER_NUMBER}",
        rf"q/(?:change:)?({_ID}|{_NUMBER})/?",
    )
)


def reference_of(pasted: str, public_url: str) -> str:
    """Return the change number, or the folded Change-Id, that a pasted text names.

    Args:
        pasted: a number, a Change-Id (7 digits or more), `gerrit:1`, `{{gerrit|1}}` or an address.
        public_url: where people find the review system; no other address is read.

    Raises:
        Unreadable: it names no change of this review system; the text says why.
    """
    text = pasted.strip(" \t\r\n")
    if not text:
        raise Unreadable("Paste the number, the Change-Id or the address of a change.")
    if len(text) > _LONGEST:
        raise Unreadable("That is too long to be the address of one change.")
    if match := _PLAIN.fullmatch(text):
        return _folded(match["named"] or match["wiki"])
    if any(character.isdigit() and not character.isascii() for character in text):
        raise Unreadable("Write the number of the change with the digits 0 to 9.")
    if match := _ADDRESS.fullmatch(text):
        return _folded(_named_by_address(match["scheme"], match["rest"], public_url))
    raise Unreadable(
        "That is neither the number nor the Change-Id nor the address of a change, "
        f"such as {public_url}c/mediawiki/core/+/123456."
    )


def _folded(named: str) -> str:
    return named if named[0].isdecimal() else folded_change_id(named)


def _named_by_address(scheme: str, rest: str, public_url: str) -> str:
    here = urlsplit(public_url)
    if not _PRINTABLE.fullmatch(rest) or "\\" in rest:
        raise Unreadable("The address has characters that no address of a change has.")
    authority, slash, path = rest.partition("/")
    _check_authority(scheme.lower(), authority.lower(), here.scheme, here.netloc.lower())
    root = here.path.strip("/") + "/" if here.path.strip("/") else ""
    if not slash or not path.startswith(root):
        raise Unreadable(f"Only addresses that begin with {public_url} name a change.")
    way = path.removeprefix(root)
    way = way.removeprefix("#/")  # how addresses were written until 2018
    way = re.split(r"[?#]", way, maxsplit=1)[0]
    for pattern in _WAYS:
        if match := pattern.fullmatch(way):
            return match[1]
    raise Unreadable("That address is of the review system, but not of one change.")


def _check_authority(scheme: str, authority: str, own_scheme: str, own: str) -> None:
    host = own.partition(":")[0]
    if "@" in authority:
        raise Unreadable("The address carries a user name or password: paste it without.")
    if scheme != own_scheme:
        raise Unreadable(f"Only {own_scheme}:// addresses of {host} are read.")
    if authority == own:
        return
    if re.fullmatch(re.escape(host) + r":[0-9]*", authority):
        raise Unreadable(f"The address names another port of {host}: paste it as {host} shows it.")
    raise Unreadable(f"That address is not of {host}, the one review system that is read.")
