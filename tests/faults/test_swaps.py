"""Two hundred times the patch set changes between the page and the form."""

import pytest
from django.test import Client

from scheduler.models import User, Window
from tests.factories import make_backport
from tests.views.swaps import swap_between_page_and_form


@pytest.mark.timeout(300)
def test_two_hundred_swaps_approve_nothing_unseen(
    client: Client, ada: User, rae: User, window: Window
) -> None:
    client.force_login(rae)
    swap_between_page_and_form(make_backport(window, ada), client, times=200)
