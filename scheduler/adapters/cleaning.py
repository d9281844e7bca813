"""Text from outside, made safe to store and to show; done once, where it comes in.

What databases refuse and what people cannot see is written out, as in `<U+202E>`: controls (newline
and tab apart), surrogates, line and paragraph separators, and all that Unicode calls "default
ignorable": what has no width, turns the direction of writing, or only chooses how something looks.
A name with such a character in it is not the name that it looks like.

Two kinds stay where they do something, because words and pictures would fall to pieces without
them, and nowhere else: a joiner (U+200C, U+200D) right after a letter of a script that needs it, or
after an emoji; and a selector of text or emoji style (U+FE0E, U+FE0F) right after a symbol, or
in a keycap. One at a time: a run of them is how things are hidden. Direction marks are written out
too; a Hebrew or Arabic text stays readable with them.
"""

import re

_SYMBOL = (  # emoji, and other characters that emoji are made of
    "\u00a9\u00ae\u203c-\u205e\u2100-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_JOINED = (  # Arabic and its like, the scripts of India, Khmer, Mongolian
    "\u0600-\u061b\u061d-\u109f\u1780-\u17b3\u17b6-\u180a\u1820-\u18af\ua840-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00010fff\U00011000-\U00011fff"
)
_UNSAFE = re.compile(
    # One of these, unless it may stay: looked at last, as few characters come so far.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb"
    # default ignorable
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u200c\u200d\ufe0e\ufe0f]"
    f"(?<![{_JOINED}{_SYMBOL}][\u200c\u200d])(?<![{_SYMBOL}]\ufe0f[\u200c\u200d])"
    f"(?<![{_SYMBOL}][\ufe0e\ufe0f])(?!(?<=[#*0-9]\ufe0f)\u20e3)"
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
