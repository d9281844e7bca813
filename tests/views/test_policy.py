"""The policy's page: rules under headings, numbers in words, sources that lead somewhere."""

from collections.abc import Callable

from django.test import Client

As = Callable[[str], Client]


def test_rules_stand_under_headings_and_numbers_say_their_unit(as_: As) -> None:
    text = as_("sam").get("/policy").content.decode()

    headings = ("Readiness", "Dependencies", "Train or window", "Dedicated window", "The window")
    places = [text.index(f">{heading} <span") for heading in headings]
    assert places == sorted(places)
    assert "minute 50" in text
    assert "168 hours" in text
    assert 'id="config-never-on-train"' in text


def test_sources_lead_to_tasks_and_wiki_pages(as_: As) -> None:
    text = as_("sam").get("/policy").content.decode()

    for address in (
        "https://phabricator.wikimedia.org/T187761",
        "https://wikitech.wikimedia.org/wiki/Backport_windows",
        "https://wikitech.wikimedia.org/wiki/Deployments/Train_vs_backport",
        "https://wikitech.wikimedia.org/wiki/Incidents/20140625-CirrusSearch",
    ):
        assert f'<a href="{address}" rel="noreferrer">' in text
