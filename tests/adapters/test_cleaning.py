"""What is written out in text from outside, and what stays."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.adapters.cleaning import visible, visible_line

JOINERS = "\u200c\u200d"
STYLES = "\ufe0e\ufe0f"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("pay\u200bload", "pay<U+200B>load"),
        ("a\u200cb\u200dc", "a<U+200C>b<U+200D>c"),
        ("a\u200eb\u200fc\u061cd", "a<U+200E>b<U+200F>c<U+061C>d"),
        ("\u05d0\u200f!", "\u05d0<U+200F>!"),
        ("a\u2060b\u2061c\u2062d", "a<U+2060>b<U+2061>c<U+2062>d"),
        ("a\u2063b\u2064c\u206ad", "a<U+2063>b<U+2064>c<U+206A>d"),
        ("so\xadft", "so<U+00AD>ft"),
        ("a\u180eb\ufeffc", "a<U+180E>b<U+FEFF>c"),
        ("a\u034fb", "a<U+034F>b"),
        ("let \u3164 = 1", "let <U+3164> = 1"),
        ("\u115f\u1160\uffa0", "<U+115F><U+1160><U+FFA0>"),
        ("a\ufe00\ufe0fb", "a<U+FE00><U+FE0F>b"),
        ("x\U000e0100y", "x<U+E0100>y"),
        ("\U0001f600\U000e0101\U000e0102", "\U0001f600<U+E0101><U+E0102>"),
        ("\U0001f600\ufe0f\ufe0f", "\U0001f600\ufe0f<U+FE0F>"),
        ("\U0001f469\u200d\u200d\U0001f680", "\U0001f469\u200d<U+200D>\U0001f680"),
        ("a\ufe0f\u200db", "a<U+FE0F><U+200D>b"),
        ("5\ufe0fb", "5<U+FE0F>b"),
        ("\ufff9a\ufffab\ufffb", "<U+FFF9>a<U+FFFA>b<U+FFFB>"),
    ],
)
def test_what_cannot_be_seen_is_written_out(given: str, kept: str) -> None:
    assert visible(given) == kept
    assert visible(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",  # a family
        "\U0001f469\U0001f3fd\u200d\U0001f680",  # an astronaut with a skin colour
        "\U0001f3f3\ufe0f\u200d\U0001f308",  # the rainbow flag
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f468\u200d\u2695\ufe0f",  # a physician
        "1\ufe0f\u20e3 #\ufe0f\u20e3",  # keycaps
        "\u00a9\ufe0e \u26a0\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: I want
        "\u0915\u094d\u200d\u0937",  # Hindi: two letters not joined into one
        "\u0d28\u0d4d\u200d end",  # Malayalam: a letter at the end of a word
        "Zürich 日本 naïve “quoted” ☃ e\u0301",
    ],
)
def test_emoji_and_words_stay_whole(text: str) -> None:
    assert visible_line(text) == text


def test_whatever_unicode_formats_or_controls_with_is_written_out() -> None:
    stays = {"\t", "\n"}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            visible_sign = "ARABIC" in unicodedata.name(character, "") or number in VISIBLE_SIGNS
            if character not in stays and not (visible_sign and character != "\u061c"):
                assert visible(f"a{character}b") == f"a<U+{number:04X}>b"


# Unicode counts these as format characters although they show, over or under what follows.
VISIBLE_SIGNS = {0x070F, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}


@given(
    st.text(st.sampled_from("a1\n\t \r" + JOINERS + STYLES + "\u200b\u20e3\u0645\U0001f469\x00"))
)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    assert visible_line(once) == visible_line(text)
    for hidden in ("\u200b", "\x00", "\r", JOINERS, STYLES, JOINERS[::-1], STYLES[::-1]):
        assert hidden not in once


@given(st.text())
def test_what_is_clean_can_be_stored_anywhere(text: str) -> None:
    assert "\x00" not in visible(text)
    visible(text + "\ud800").encode()
