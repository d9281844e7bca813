"""The planner's cases (`cases/*.json`), and the scenarios that stand beside the repository."""

import pytest

from tests.domain.casebook import Case, cases, differences, parsed, result_of, shared_scenarios


@pytest.mark.parametrize("case", tuple(cases()), ids=lambda case: case.name)
def test_a_case_is_planned_as_it_says(case: Case) -> None:
    assert differences(result_of(parsed(case.document)), case.expect) == []


@pytest.mark.parametrize("scenario", tuple(shared_scenarios()), ids=lambda scenario: scenario.name)
def test_a_shared_scenario_holds(scenario: Case) -> None:
    expect = dict(scenario.expect)
    expect["queue"] = [sorted(step) for step in expect["queue"]] if "queue" in expect else None
    expect = {key: value for key, value in expect.items() if value is not None}
    assert differences(result_of(parsed(scenario.document)), expect) == []
