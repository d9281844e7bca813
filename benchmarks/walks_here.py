"""The walks of `walks.py` on the one database of the environment, on which Django is set up.

The arguments are how many there are with each seed, and the seeds. A line of JSON tells of each.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

from django.core.management import call_command
from django.db import transaction

from tests.factories import make_person
from tests.walks.sending import Tally
from tests.walks.walk import PEOPLE, walk


def walks_with(seeds: list[int], walks: int) -> Iterator[dict[str, object]]:
    """Walk with each seed; yield what was done, and what was violated."""
    with transaction.atomic():
        people = {name: make_person(name) for name in PEOPLE}
        for seed in seeds:
            tally, violation = Tally(), ""
            try:
                with redirect_stdout(sys.stderr):  # how to do it again, for who looks on
                    walk(people, walks, tally, seed=seed)
            except Exception as error:  # noqa: BLE001 - whatever it is, no walk may lead to it
                violation = "\n".join([repr(error), *getattr(error, "__notes__", [])])
            yield {
                "seed": seed,
                "walks": tally.walks,
                "done": tally.done,
                "refused": tally.refused,
                "deaths": tally.deaths,
                "violation": violation,
            }
        transaction.set_rollback(True)


if __name__ == "__main__":
    each, *seeds = map(int, sys.argv[1:])
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    for told in walks_with(seeds, each):
        print(json.dumps(told), flush=True)
