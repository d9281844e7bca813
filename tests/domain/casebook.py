"""Planner cases as data: short forms are expanded to whole plan documents, results compared.

A case file is a list of `{"name", "changes", "document", "expect"}`. Each change is written short
and gives only what differs from a ready, requested, reviewed fix on the live branch:

    n       its number
    in      last part of an extension's name, or a whole project, or `config`
    on      its branch; a bare version stands for `wmf/1.47.0-wmf.<version>`
    id      number that its Change-Id is made of (default: n); siblings share it
    needs   numbers of the Change-Ids that its Depends-On footers name
    bug     task of its Bug footer
    says    prose of its message
    touches its paths; `A:` before one means added
    master  false: no merged sibling in master; a list: the versions it is included in
    asked   false: not requested; else what differs in its backport

Everything else is taken as the plan document has it. `document` replaces whole keys of the base.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.adapters.plan_document import UnusableDocument, parse, render
from scheduler.domain.planning.plan import PlanInput, plan_window

CASES = Path(__file__).parent / "cases"
SHARED_SCENARIOS = Path(__file__).parents[3] / "shared" / "scenarios"

Json = dict[str, Any]

LIVE = "1.47.0-wmf.16"
_SHORT = {"n", "in", "on", "id", "needs", "bug", "says", "touches", "master", "asked"}


@dataclass(frozen=True)
class Case:
    """One situation and what must come of it."""

    name: str
    document: Json
    expect: Json


def change_id(number: int) -> str:
    """Return a Change-Id that is easy to recognise."""
    return f"I{number:040x}"


def base_document() -> Json:
    """Return a window of an hour with one live version and nothing booked."""
    return {
        "format": "swat-plan/1",
        "now": "2026-08-26T13:00:00Z",
        "window": {"start": "2026-08-26T13:00:00Z", "end": "2026-08-26T14:00:00Z"},
        "train": {
            "checked_out": [LIVE],
            "live": {"group0": LIVE, "group1": LIVE, "group2": LIVE},
            "schedule": [],
        },
        "changes": [],
        "backports": [],
    }


def expanded(case: Json) -> Json:
    """Return the whole plan document of a case."""
    document: Json = base_document() | case.get("document", {})
    document["changes"] = list(document["changes"])
    document["backports"] = list(document["backports"])
    for short in case.get("changes", ()):
        change = _change(short)
        document["changes"].append(change)
        if change["branch"].startswith("wmf/") and short.get("master", True) is not False:
            document["changes"].append(_master(change, short.get("master", True)))
        if short.get("asked", True) is not False:
            asked = short["asked"] if isinstance(short.get("asked"), dict) else {}
            document["backports"].append(
                {
                    "change": short["n"],
                    "requester": "ada",
                    "approved": True,
                    "submitted_at": "2026-08-26T10:00:00Z",
                    "kind": "regression",
                }
                | asked
            )
    return document


def _branch(name: str | int) -> str:
    return f"wmf/1.47.0-wmf.{name}" if str(name).isdigit() else str(name)


def _change(short: Json) -> Json:
    number: int = short["n"]
    where = short.get("in", f"E{number}")
    is_config = where == "config"
    project = "operations/mediawiki-config" if is_config else where
    if "/" not in project:
        project = f"mediawiki/extensions/{project}"
    identity = change_id(int(short.get("id", number)))
    lines = [f"Bug: {short['bug']}"] if "bug" in short else []
    lines += [f"Depends-On: {change_id(needed)}" for needed in short.get("needs", ())]
    lines.append(f"Change-Id: {identity}")
    touches = short.get("touches", ["wmf-config/CommonSettings.php" if is_config else "src/A.php"])
    whole: Json = {
        "number": number,
        "project": project,
        "branch": _branch(short.get("on", "master" if is_config else 16)),
        "change_id": identity,
        "message": "\n\n".join(["Fix it", short.get("says", "It was broken."), "\n".join(lines)]),
        "owner": "ada",
        "labels": {"Code-Review": 2, "Verified": 2},
        "files": [
            {"path": path.removeprefix("A:"), "status": "A" if path.startswith("A:") else "M"}
            for path in touches
        ],
    }
    return whole | {key: value for key, value in short.items() if key not in _SHORT}


def _master(change: Json, included: object) -> Json:
    return {
        "number": change["number"] + 1000,
        "project": change["project"],
        "branch": "master",
        "change_id": change["change_id"],
        "status": "MERGED",
        "included_in": [_branch(v) for v in included] if isinstance(included, list) else [],
    }


def cases() -> Iterator[Case]:
    """Yield every case of the case files."""
    for file in sorted(CASES.glob("*.json")):
        for case in json.loads(file.read_text()):
            yield Case(f"{file.stem}: {case['name']}", expanded(case), case["expect"])


def shared_scenarios() -> Iterator[Case]:
    """Yield the scenarios that stand beside the repository; none where they are not there."""
    for file in sorted(SHARED_SCENARIOS.glob("*.json")):
        scenario = json.loads(file.read_text())
        yield Case(file.stem, scenario["document"], scenario["expect"])


def parsed(document: Json) -> PlanInput | None:
    """Return a document as the planner takes it; None where it is not usable."""
    try:
        return parse(json.dumps(document))
    except UnusableDocument:
        return None


def result_of(given: PlanInput | None) -> Json | None:
    """Return the result document of a plan; None where there is none."""
    return None if given is None else render(plan_window(given))


def differences(result: Json | None, expect: Json) -> list[str]:
    """Return, in words, where a result is not what a case expects."""
    if result is None or expect.get("invalid"):
        return [] if (result is None) == bool(expect.get("invalid")) else ["refused or not?"]
    wanted_of = {name: expect[name] for name in _READ if name in expect}
    wrong = [
        f"{name}: expected {wanted}, got {got}"
        for name, wanted in wanted_of.items()
        if (got := _READ[name](result, wanted)) != wanted
    ]
    return wrong + _findings_wrong(result, expect) + _questions_wrong(result, expect)


def _elsewhere(result: Json, wanted: Json) -> Json:
    rows = {str(row["change"]): row for row in result["elsewhere"]}
    got = {}
    for change, row in wanted.items():
        there = rows.get(change, {"place": "queue", "rule": None})
        got[change] = [there["place"], there["rule"] if row[1] else row[1]]
    return got


def _because(result: Json, wanted: Json) -> Json:
    return {
        str(step["changes"][0]): [[b["reason"], b["first"]] for b in step["because"]]
        for step in result["queue"]
        if str(step["changes"][0]) in wanted
    }


def _arrives(result: Json, wanted: Json) -> Json:
    rows = {str(row["change"]): row for row in result["elsewhere"]}
    return {change: rows[change]["version"] for change in wanted if change in rows}


_READ: dict[str, Any] = {
    "queue": lambda result, _: [step["changes"] for step in result["queue"]],
    "minutes": lambda result, _: [step["minutes"] for step in result["queue"]],
    "starts": lambda result, _: [step["starts"][11:16] for step in result["queue"]],
    "elsewhere": _elsewhere,
    "because": _because,
    "versions": _arrives,
    "broken_after": lambda result, _: [s["after"] for s in result["states"] if not s["safe"]],
    "rollback": lambda result, _: result["rollback"],
    "leftovers": lambda result, _: result["leftovers"],
    "only_findings": lambda result, _: [[f["change"], f["rule"]] for f in result["findings"]],
}


def _findings_wrong(result: Json, expect: Json) -> list[str]:
    found = {(row["change"], row["rule"]): row for row in result["findings"]}
    nothing = {"level": None, "lifted": None, "message": ""}
    wrong = ["the same finding stands twice"] if len(found) != len(result["findings"]) else []
    wrong += [
        f"finding {pair} is one too many"
        for pair in expect.get("no_findings", ())
        if tuple(pair) in found
    ]
    wanted = [(row[:2], "level", row[2:]) for row in expect.get("findings", ())]
    wanted += [(pair, "lifted", [True]) for pair in expect.get("lifted", ())]
    wanted += [(pair, "lifted", [False]) for pair in expect.get("not_lifted", ())]
    for pair, key, value in wanted:
        row = found.get(tuple(pair), nothing)
        if row is nothing or (value and row[key] != value[0]):
            wrong.append(f"finding {pair} is not there with {key} {value}: {row}")
    wrong += [
        f"finding {change}, {rule} does not say {text!r}"
        for change, rule, text in expect.get("says", ())
        if text not in found.get((change, rule), nothing)["message"]
    ]
    return wrong


def _questions_wrong(result: Json, expect: Json) -> list[str]:
    asked = [sorted(row["changes"]) for row in result["questions"]]
    wrong = [
        f"question {pair} is missing"
        for pair in expect.get("questions", ())
        if sorted(pair) not in asked
    ]
    if expect.get("no_questions") and asked:
        wrong.append(f"questions too many: {asked}")
    return wrong
