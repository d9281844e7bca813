"""What people paste to name changes: which shapes are read, and that no other host is asked."""

import pytest

from scheduler.adapters import gerrit_references
from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.gerrit_references import MOST_REFERENCES, stated_in
from scheduler.adapters.ports import AdapterError, Unreadable
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import change_id_of
from tests.adapters.conftest import PUBLIC, Watch

CIRRUS = "I46d3784514155af27b407d78be567c291042fa86"


@pytest.mark.parametrize(
    ("pasted", "reference"),
    [
        ("247888", "247888"),
        ("  247888\n", "247888"),
        (f"{PUBLIC}247888", "247888"),
        (f"{PUBLIC}247888/", "247888"),
        (f"{PUBLIC}c/247888", "247888"),
        (f"{PUBLIC}c/247888/2", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888/4", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888/2..4/includes/A.php", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888/4/includes/A.php#12", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888?tab=comments", "247888"),
        (f"{PUBLIC}#/c/247888/", "247888"),
        (f"{PUBLIC}#/c/247888/3/includes/A.php", "247888"),
        (f"{PUBLIC}q/{CIRRUS}", CIRRUS),
        (f"{PUBLIC}#/q/{CIRRUS}", CIRRUS),
        ("https://GERRIT.wikimedia.org/r/247888", "247888"),
        ("/r/247888", "247888"),
        ("https://gerrit.wikimedia.org:443/r/247888", "247888"),
        (f"<{PUBLIC}247888>", "247888"),
        ("247888\u00a0", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888/comment/1a2b_3c/", "247888"),
        (f"{PUBLIC}c/mediawiki/core/+/247888/comments/", "247888"),
        (" /r/247888/ ", "247888"),
        ("/r/c/247888/4", "247888"),
        ("/r/c/mediawiki/core/+/247888", "247888"),
        ("/r/c/mediawiki/core/+/247888/4", "247888"),
        ("/r/c/mediawiki/core/+/247888/4/includes/A.php", "247888"),
        ("/r/#/c/247888", "247888"),
        ("/r/#/c/247888/", "247888"),
        (f"/r/q/{CIRRUS}", CIRRUS),
        (CIRRUS, CIRRUS),
        (CIRRUS.upper(), CIRRUS),
        ("I46d3784", "I46d3784"),
        ("gerrit:247888", "247888"),
        ("{{gerrit|247888}}", "247888"),
        ("{{Gerrit|247888}}", "247888"),
    ],
)
def test_what_names_a_change(pasted: str, reference: str) -> None:
    assert Gerrit("", PUBLIC).reference_of(pasted) == reference


HOSTILE: list[tuple[str, str]] = [
    (f"{PUBLIC}２４７", "digits 0 to 9"),  # noqa: RUF001
    (f"{PUBLIC}c/x/+/²", "digits 0 to 9"),
    ("file:///etc/passwd", "Only https://"),
    ("gopher://gerrit.wikimedia.org/r/1", "Only https://"),
    ("ftp://gerrit.wikimedia.org/r/1", "Only https://"),
    ("javascript:alert(1)", "Only https://"),
    ("https://169.254.169.254/latest/meta-data", "not of gerrit.wikimedia.org"),
    ("https://127.0.0.1/r/1", "not of"),
    ("https://[::1]/r/1", "not of"),
    ("https://[::ffff:127.0.0.1]/r/1", "not of"),
    ("https://0x7f.1/r/1", "not of"),
    ("https://2130706433/r/1", "not of"),
    ("https://localhost/r/1", "not of"),
    ("https://gerrit.wikimedia.org.evil.example/r/1", "not of"),
    ("https://evil.example/gerrit.wikimedia.org/r/1", "not of"),
    ("https://evilgerrit.wikimedia.org/r/1", "not of"),
    ("https://gerrit.wikimedia.org./r/1", "not of"),
    ("https://gerrit-wikimedia.org/r/1", "not of"),
    ("https://gerrlt.wikimedia.org/r/1", "not of"),
    ("https://gerrit.wikimedia.org%2eevil.example/r/1", "not of"),
    ("https://gerrit.wikimedia.org#.evil.example/r/1", "not of"),
    ("https://gerrit.wikimedia.org?.evil.example/r/1", "not of"),
    ("https://gerrit.wikimedia.org\\.evil.example/r/1", "characters"),
    ("https://g\u0435rrit.wikimedia.org/r/1", "characters"),  # a Cyrillic letter
    ("https://gerrit.wikimedia\u3002org/r/1", "characters"),
    ("https://gerrit.wikimedia.org/r/1\r\nHost: evil.example", "characters"),
    ("https://gerrit.wikimedia.org/r/\x001", "characters"),
    ("https://gerrit.wikimedia.org@127.0.0.1/r/1", "user name"),
    ("https://ada:secret@gerrit.wikimedia.org/r/1", "user name"),
    ("https://gerrit.wikimedia.org:22/r/1", "another port"),
    ("https://gerrit.wikimedia.org:444/r/1", "another port"),
    ("http://gerrit.wikimedia.org:443/r/1", "another port"),
    ("https://gerrit.wikimedia.org:/r/1", "another port"),
    ("https://gerrit.wikimedia.org", "begin with"),
    ("https://gerrit.wikimedia.org/1", "begin with"),
    ("https://gerrit.wikimedia.org/g/mediawiki/core/+/1", "begin with"),
    (f"{PUBLIC}../x/1", "not of one change"),
    (f"{PUBLIC}dashboard/self", "not of one change"),
    (f"{PUBLIC}q/status:open", "not of one change"),
    (f"{PUBLIC}c/mediawiki/core/247888", "not of one change"),
    (f"{PUBLIC}a/changes/247888/detail", "not of one change"),
    ("//evil.example/r/1", "begin with"),
    ("//gerrit.wikimedia.org/r/1", "begin with"),
    ("/r/\\\\evil.example/1", "characters"),
    ("/r/1\nHost: evil.example", "characters"),
]
NO_CHANGE: list[tuple[str, str]] = [
    ("", "Paste the number"),
    (" \n", "Paste the number"),
    ("0", "neither"),
    ("-1", "neither"),
    ("12345678901", "neither"),
    ("I46d378", "neither"),  # six digits
    (CIRRUS + "0", "neither"),
    ("T115031", "neither"),
    ("247888; rm -rf /", "neither"),
    ("247888 247889", "neither"),
    ("9" * 2001, "too long"),
    ("２４７８８８", "digits 0 to 9"),  # noqa: RUF001
    ("٢٤٧٨٨٨", "digits 0 to 9"),
    ("/1", "begin with"),
    ("/etc/passwd", "begin with"),
    ("/r/../admin/1", "not of one change"),
    ("/r", "begin with"),
    ("/r/", "not of one change"),
]


@pytest.mark.parametrize(("pasted", "said"), [*HOSTILE, *NO_CHANGE])
def test_what_names_none_is_refused_with_a_sentence(pasted: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said) as refusal:
        Gerrit("", PUBLIC).reference_of(pasted)
    assert str(refusal.value).endswith(".")


def test_other_addresses_are_neither_looked_up_nor_connected_to(
    server: DemoGerrit, gerrit: Gerrit, network: Watch
) -> None:
    assert len(HOSTILE) >= 40
    with network() as seen:
        for pasted, _ in HOSTILE:
            with pytest.raises(Unreadable):
                gerrit.fetch_change(gerrit.reference_of(pasted))
            with pytest.raises(Unreadable):
                gerrit.references_of(f"1, {pasted}")
    assert seen == []
    assert server.requests == []


def test_only_the_server_of_the_settings_is_connected_to(
    server: DemoGerrit, gerrit: Gerrit, network: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with network() as seen:
        gerrit.fetch_change(gerrit.reference_of(f"{PUBLIC}c/mediawiki/core/+/247888"))
        server.status = 302
        for server.location in ("http://127.0.0.1:9/", "//evil.example/", "https://evil.example/"):
            with pytest.raises(AdapterError, match="302"):
                gerrit.fetch_change("247888")
    host, port = server.url.split("/")[2].split(":")
    assert {tuple(map(str, address)) for address in map(tuple_of, seen)} == {(host, port)}


def tuple_of(address: object) -> tuple[object, ...]:
    assert isinstance(address, tuple)
    return address


def test_the_watch_sees_who_is_connected_to(network: Watch) -> None:
    with DemoGerrit(()) as one, network() as seen, pytest.raises(AdapterError):
        Gerrit(one.url, PUBLIC).fetch_change("1")
    assert seen


def test_nobody_is_asked_about_what_was_pasted(server: DemoGerrit, gerrit: Gerrit) -> None:
    gerrit.reference_of(f"{PUBLIC}247888")
    with pytest.raises(Unreadable):
        gerrit.reference_of(server.url + "247888")
    assert server.requests == []


def test_the_port_of_the_public_address_is_read() -> None:
    gerrit = Gerrit("", "http://localhost:8080/r/")
    assert gerrit.reference_of("http://localhost:8080/r/12") == "12"
    with pytest.raises(Unreadable, match="another port"):
        gerrit.reference_of("http://localhost:81/r/12")


# --- Several at once ----------------------------------------------------------------------------

OTHER = change_id_of("other")


@pytest.mark.parametrize(
    ("pasted", "references"),
    [
        ("1", ("1",)),
        (" 1,\n", ("1",)),
        ("1 2", ("1", "2")),
        ("1,2;3\n4\t5", ("1", "2", "3", "4", "5")),
        (" 1 ,\r\n ;; 2 ", ("1", "2")),
        ("2 1 2 1", ("2", "1")),
        (f"1 {PUBLIC}1 {PUBLIC}c/mediawiki/core/+/1/4 /r/1 gerrit:1", ("1",)),
        (f"{PUBLIC}1,{PUBLIC}2", ("1", "2")),
        (f"{CIRRUS} {CIRRUS.upper()} {OTHER}", (CIRRUS, OTHER)),
        ("gerrit: 1, gerrit:2", ("1", "2")),
        ("{{gerrit|1}}{{Gerrit | 2}}, {{ gerrit |3}}", ("1", "2", "3")),
        (" ".join(str(n) for n in (*range(1, 21), 20, 1)), tuple(str(n) for n in range(1, 21))),
        ("247888,4", ("247888",)),
        ("247888,4 247889,12", ("247888", "247889")),
        ("247888,247889", ("247888", "247889")),
        ("1 2\u200b", ("1", "2")),
        (f"{PUBLIC}#/q/{CIRRUS},n,z", (CIRRUS,)),
    ],
)
def test_several_are_read_each_once_in_their_order(
    pasted: str, references: tuple[str, ...]
) -> None:
    assert Gerrit("", PUBLIC).references_of(pasted) == references


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("", "Paste the number"),
        (" ,;\n", "Paste the number"),
        ("nonsense", "^That is neither the number"),
        ("1 nonsense 2", "“nonsense” cannot be read. That is neither"),
        ("1, https://evil.example/r/2", "“https://evil.example/r/2” cannot be read. That address"),
        ("1 \u202e2", "“<U\\+202E>2” cannot be read"),
        ("1 " + "x" * 500, "“x{70,} … \\(cut\\)” cannot be read"),
        ("1 {{gerrit|}}", "“{{gerrit|}}” cannot be read"),
        ("1 {{{", "“{{{” cannot be read"),
        ("1 2 ٣", "“٣” cannot be read. Write the number"),
        (" ".join(str(n) for n in range(1, 22)), "These are 21 changes: name 20"),
        ("1 " * 10_001, "too long"),
    ],
)
def test_one_that_cannot_be_read_is_named(pasted: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said) as refusal:
        Gerrit("", PUBLIC).references_of(pasted)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 300


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(Unreadable, match="//…@gerrit") as refusal:
        Gerrit("", PUBLIC).references_of("1 https://ada:secret@gerrit.wikimedia.org/r/1")
    assert "secret" not in str(refusal.value)


def test_the_limit_is_twenty() -> None:
    assert MOST_REFERENCES == 20


@pytest.mark.parametrize(
    "pasted",
    [
        "[[gerrit:1218340]]",
        "[[gerrit:1218340|the fix]]",
        "gerrit.wikimedia.org/r/1218340",
        "Gerrit.Wikimedia.org/r/c/mediawiki/core/+/1218340/4",
        "http://gerrit.wikimedia.org/r/1218340",
    ],
)
def test_what_people_copy_from_wiki_pages_and_address_bars_is_read(pasted: str) -> None:
    public = "https://gerrit.wikimedia.org/r/"
    assert gerrit_references.reference_of(pasted, public) == "1218340"
    assert gerrit_references.references_of(f"{pasted}, 7", public) == ("1218340", "7")


def test_an_address_states_a_project_and_a_patch_set() -> None:
    pasted = "/r/c/mediawiki/core/+/12/4 https://gerrit.wikimedia.org/r/13/2 /r/14 15"

    said = {number: (one.project, one.patch_set) for number, one in stated_in(pasted).items()}

    assert said == {12: ("mediawiki/core", 4), 13: ("", 2), 14: ("", 0)}
