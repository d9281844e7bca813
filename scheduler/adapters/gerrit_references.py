"""What people paste to name a change. It is only read: no address that somebody typed is asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from scheduler.adapters.cleaning import shortened, visible_line
from scheduler.adapters.ports import Unreadable
from scheduler.domain.changes import folded_change_id

MOST_REFERENCES = 20  # in one list
_LONGEST = 2000  # characters of one
_LONGEST_LIST = 20_000  # characters
_LONGEST_NAME = 80  # characters of what a sentence names
_NUMBER = r"[1-9][0-9]{0,8}"
_ID = r"I[0-9a-fA-F]{7,40}"

_PLAIN = re.compile(
    rf"(?:gerrit:\s*)?(?P<named>{_NUMBER}|{_ID})"
    rf"|\{{\{{\s*gerrit\s*\|\s*(?P<wiki>{_NUMBER}|{_ID})\s*\}}\}}"
    rf"|\[\[\s*gerrit:\s*(?P<link>{_NUMBER}|{_ID})\s*(?:\|[^\[\]]*)?\]\]",
    re.ASCII | re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://)?(?P<rest>.*)", re.ASCII | re.I | re.S)
# One of a list; white space stands inside where the plain shapes may have some.
_ONE = re.compile(
    r"\{\{[^{}]{0,100}\}\}|\[\[[^\[\]]{0,200}\]\]|gerrit:\s{0,9}[^\s,;]+|(?:(?!\{\{)[^\s,;])+|\{+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"//[^/\s]*@")
_PRINTABLE = re.compile(r"[!-~]*", re.ASCII)
_AFTER_NUMBER = r"(?:/[0-9]+(?:\.\.[0-9]+)?(?:/.*)?|/comments?/.*|/)?"
# What Gerrit itself writes: a change with its patch set, and a search with where its page begins.
_WITH_PATCH_SET = re.compile(r"(?<![\w,;/|:])([1-9][0-9]{3,8}),[0-9]{1,3}(?![\w,;/])", re.ASCII)
_OFFSET = re.compile(r",n,z(?![\w])", re.ASCII)
_BRACKETED = re.compile(r"\A<([^<>]*)>\Z")  # as mails have addresses
_BLANKS = " \t\r\n\u00a0\u200b\u2060\ufeff"
_WAYS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:c/)?({_NUMBER}){_AFTER_NUMBER}",
        rf"c/[A-Za-z0-9][A-Za-z0-9._/%-]*/\+/({_NUMBER}){_AFTER_NUMBER}",
        rf"q/(?:change:)?({_ID}|{_NUMBER})/?",
    )
)
_STATED = re.compile(
    rf"/(?:c/(?P<project>[A-Za-z0-9][A-Za-z0-9._/%-]{{0,200}})/\+/)?(?P<number>{_NUMBER})"
    r"(?:/(?P<patch_set>[0-9]{1,6}))?(?![0-9A-Za-z])",
    re.ASCII,
)


def references_of(pasted: str, public_url: str) -> tuple[str, ...]:
    """Return what a pasted list of changes names, each once, in the order of the list.

    Args:
        pasted: what `reference_of` reads, between white space, commas or semicolons.
        public_url: where people find the review system; no other address is read.

    Raises:
        Unreadable: there is none, there are more than 20, or one names no change of this review
            system; the text says which.
    """
    if len(pasted) > _LONGEST_LIST:
        raise Unreadable("That is too long to be a list of changes.")
    pasted = _OFFSET.sub("", _WITH_PATCH_SET.sub(r"\1", pasted))
    names = _ONE.findall(pasted)
    if len(names) < 2:  # noqa: PLR2004 no list
        return (reference_of(pasted.strip(f"{_BLANKS},;"), public_url),)
    found = dict.fromkeys(_one_of(name, public_url) for name in names)
    if len(found) > MOST_REFERENCES:
        raise Unreadable(f"These are {len(found)} changes: name {MOST_REFERENCES} at once at most.")
    return tuple(found)


def _one_of(name: str, public_url: str) -> str:
    """Return what one of a list names.

    Raises:
        Unreadable: it names no change; the text says which one that is, without any password.
    """
    try:
        return reference_of(name, public_url)
    except Unreadable as why:
        shown = shortened(visible_line(_SECRET.sub("//…@", name)), _LONGEST_NAME)
        raise Unreadable(f"“{shown}” cannot be read. {why}") from None


def reference_of(pasted: str, public_url: str) -> str:
    """Return the change number, or the folded Change-Id, that a pasted text names.

    Args:
        pasted: a number, a Change-Id (7 digits or more), `gerrit:1`, `{{gerrit|1}}` or
            `[[gerrit:1]]`, an address with or without its scheme, or the path of one.
        public_url: where people find the review system; no other address is read.

    Raises:
        Unreadable: it names no change of this review system; the text says why.
    """
    text = _BRACKETED.sub(r"\1", pasted.strip(_BLANKS))
    if not text:
        raise Unreadable("Paste the number, the Change-Id or the address of a change.")
    if len(text) > _LONGEST:
        raise Unreadable("That is too long to be the address of one change.")
    if match := _PLAIN.fullmatch(text):
        return _folded(match["named"] or match["wiki"] or match["link"])
    if any(character.isdigit() and not character.isascii() for character in text):
        raise Unreadable("Write the number of the change with the digits 0 to 9.")
    if match := _ADDRESS.fullmatch(text):
        return _folded(_named_by_address(match["scheme"], match["rest"], public_url))
    host = urlsplit(public_url).netloc.lower()
    if text.lower().startswith(f"{host}/"):  # as people type it
        return _folded(_named_by_path(text[len(host) :], public_url))
    if text.startswith("/"):
        return _folded(_named_by_path(text, public_url))
    raise Unreadable(
        "That is neither the number nor the Change-Id nor the address of a change, "
        f"such as {public_url}c/mediawiki/core/+/123456."
    )


@dataclass(frozen=True, slots=True)
class Stated:
    """What an address says of a change beside its number; "" and 0 where it says nothing."""

    project: str
    patch_set: int


def stated_in(pasted: str) -> Mapping[int, Stated]:
    """Return what the addresses in a pasted list say of the changes that they name, by number."""
    return {
        int(match["number"]): Stated(unquote(match["project"] or ""), int(match["patch_set"] or 0))
        for match in _STATED.finditer(pasted[:_LONGEST_LIST])
    }


def _folded(named: str) -> str:
    return named if named[0].isdecimal() else folded_change_id(named)


def _named_by_address(scheme: str, rest: str, public_url: str) -> str:
    _check_characters(rest)
    here = urlsplit(public_url)
    authority, slash, path = rest.partition("/")
    _check_authority(scheme.lower(), authority.lower(), here.scheme, here.netloc.lower())
    return _named_by_path(slash + path, public_url)


def _named_by_path(path: str, public_url: str) -> str:
    """Return what the path of an address names; two slashes at its start would name a host."""
    _check_characters(path)
    root = urlsplit(public_url).path.rstrip("/") + "/"
    if not path.startswith(root) or path.startswith("//"):
        raise Unreadable(f"Only addresses that begin with {public_url} name a change.")
    way = path.removeprefix(root)
    way = way.removeprefix("#/")  # how addresses were written until 2018
    way = re.split(r"[?#]", way, maxsplit=1)[0]
    for pattern in _WAYS:
        if match := pattern.fullmatch(way):
            return match[1]
    raise Unreadable("That address is of the review system, but not of one change.")


def _check_characters(address: str) -> None:
    if not _PRINTABLE.fullmatch(address) or "\\" in address:
        raise Unreadable("The address has characters that no address of a change has.")


def _check_authority(scheme: str, authority: str, own_scheme: str, own: str) -> None:
    host = own.partition(":")[0]
    if "@" in authority:
        raise Unreadable("The address carries a user name or password: paste it without.")
    if scheme not in {own_scheme, "http"}:  # it is only read: what is asked is our own address
        raise Unreadable(f"Only {own_scheme}:// addresses of {host} are read.")
    usual = {"https": ":443", "http": ":80"}.get(scheme, "")
    if authority in {own, f"{host}{usual}"} and (":" not in own or authority == own):
        return
    if re.fullmatch(re.escape(host) + r":[0-9]*", authority):
        raise Unreadable(f"The address names another port of {host}: paste it as {host} shows it.")
    raise Unreadable(f"That address is not of {host}, the one review system that is read.")
