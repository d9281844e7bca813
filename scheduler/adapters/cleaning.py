"""Text from outside, made safe to store and to show; done once, where it comes in."""

import re

# Controls (newline and tab apart), surrogates, what turns the direction of writing, line and
# paragraph separators, what has no width and no sound, and invisible tags: databases refuse some,
# and people are fooled by others. Joiners and direction marks stay: some languages need them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u180e\u200b\u202a-\u202e\u2060-\u206f\u2028\u2029\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_LINE_UNSAFE = re.compile("[\t\n]")
_GAP = re.compile("\n{3,}")
_CUT = " … (cut)"


def visible(text: str) -> str:
    """Return a text of several lines with what must not be in it shown, as in `<U+202E>`."""
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n"))


def visible_line(text: str) -> str:
    """Return a text of one line with what must not be in it shown, newline and tab included."""
    return _LINE_UNSAFE.sub(_shown, visible(text))


def visible_prose(text: str) -> str:
    """Return what a person wrote, as `visible`, with one empty line at most between paragraphs.

    Nothing stays behind the end of a line.
    """
    lines = (line.rstrip() for line in visible(text).split("\n"))
    return _GAP.sub("\n\n", "\n".join(lines)).strip()


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text, with a mark at the end where it was cut."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def shortened_inside(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text: its two ends, and a mark of its own between."""
    if len(text) <= limit:
        return text
    mark = f"\n\n[{_CUT.strip()}]\n\n"
    half = (limit - len(mark)) // 2
    return text[:half] + mark + text[-half:]


def shortened_lines(text: str, limit: int) -> str:
    """Return the whole lines of a text within `limit` characters, then a line with the mark."""
    if len(text) <= limit:
        return text
    mark = f"[{_CUT.strip()}]\n"
    end = text.rfind("\n", 0, limit - len(mark)) + 1
    return text[:end] + mark


def _shown(match: re.Match[str]) -> str:
    return f"<U+{ord(match[0]):04X}>"
