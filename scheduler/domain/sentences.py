"""Events in words: what somebody did, as history, mail and exports say it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

Payload = Mapping[str, object]

CLOCK = "The clock"  # who did what nobody did

_SAID: Mapping[str, str] = {
    "backport.amend": "changed what is said about this backport; it waits for review",
    "backport.withdraw": "withdrew this backport",
    "backport.decline": "declined this backport",
    "backport.send-to-train": "left this backport to the train",
    "backport.send-to-dedicated": "left this backport to a dedicated window",
    "backport.veto": "vetoed this backport: it does not go in this window",
    "backport.ask": "asked the requester something; it waits for the answer",
    "backport.withdraw-approval": "took the approval back; it waits for review",
    "person.join": "signed in here for the first time",
    "person.change-profile": "changed what this account says and wants",
    "person.change-password": "changed the password of this account",
    "person.add-second-factor": "added a second factor to this account",
    "person.remove-second-factor": "removed the second factor of this account",
    "person.connect-identity": "connected an identity of a provider to this account",
    "person.make-recovery-codes": "made new recovery codes for this account",
    "window.sign-up": "signed up to deploy this window",
    "window.step-down": "does not deploy this window after all",
    "window.skip": "skipped this window: nobody had claimed it",
    "window.cancel": "called this window off",
    "person.make-feed": "made a new address of the personal calendar feed",
    "person.revoke-feed": "revoked the address of the personal calendar feed",
    "window.unlock": "unlocked the queue of this window; it follows the facts again",
}


def what_of(kind: str, payload: Payload) -> str:
    """Return what happened, to be read after the name of who did it; without a full stop.

    Args:
        kind: noun and verb, such as `backport.submit`; one that is not known is spelled out.
        payload: what the event carries.
    """
    worded = _WORDED.get(kind)
    if worded is not None:
        return worded(payload)
    noun, _, verb = kind.partition(".")
    return _SAID.get(kind) or f"{verb} ({noun})".replace("-", " ")


def sentence_of(kind: str, payload: Payload, actor_name: str) -> str:
    """Return what happened as a sentence.

    Args:
        kind: as for `what_of`.
        payload: as for `what_of`.
        actor_name: who did it; "" is the clock.
    """
    return f"{actor_name or CLOCK} {what_of(kind, payload)}."


def words_of(payload: Payload) -> str:
    """Return what a person wrote with it: the reason, the question or the reply; "" if nothing."""
    return _text(payload, "reason") or _text(payload, "reply")


def summary_of(payload: Payload) -> tuple[str, ...]:
    """Return how each step of a window went that was closed, two or three lines for each.

    Times are UTC; those of another day than the planned one have their day.

    Args:
        payload: of `window.close`; what is no summary has no lines.
    """
    steps = payload.get("steps")
    rows = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return tuple(line for step in rows for line in _step_lines(step))


def _step_lines(step: Payload) -> list[str]:
    changes = _in_words(_several(step, "changes")) or "nothing"
    day = _text(step, "planned")[:10]
    planned, started, ended = (_hour(step, name, day) for name in ("planned", "started", "ended"))
    lines = [
        f"Step {_text(step, 'step')}, {changes}: {_text(step, 'outcome') or 'no outcome'}",
        f"  planned {planned or 'at no time'}, {f'started {started}' if started else 'not started'}"
        + (f", ended {ended}" if ended else ""),
    ]
    reason = _text(step, "reason")
    return [*lines, f"  {reason}"] if reason else lines


def _hour(step: Payload, name: str, day: str) -> str:
    """Return a time of a step as the clock shows it; "" if there is none."""
    text = _text(step, name)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return (
        f"{moment:%H:%M}" if f"{moment:%Y-%m-%d}" == day else f"{moment.day} {moment:%b %Y, %H:%M}"
    )


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name, "")
    return str(value) if isinstance(value, str | int) else ""


def _several(payload: Payload, name: str) -> list[str]:
    values = payload.get(name)
    return [str(value) for value in values] if isinstance(values, list) else []


def _in_words(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _submit(payload: Payload) -> str:
    patch_set = _text(payload, "patch_set")
    known = "" if patch_set in {"", "0"} else f", patch set {patch_set}"
    return f"asked for change {_text(payload, 'change')} to be deployed{known}"


def _become_known(payload: Payload) -> str:
    patch_set = _text(payload, "patch_set")
    told = f"patch set {patch_set} of change" if patch_set else "change"
    return f"heard from Gerrit of {told} {_text(payload, 'change')}: it can be reviewed now"


def _approve(payload: Payload) -> str:
    patch_set, rules = _text(payload, "patch_set"), _several(payload, "acknowledged")
    what = f"approved patch set {patch_set}" if patch_set else "approved this backport"
    return f"{what}, taking on {_in_words(rules)}" if rules else what


def _reply(payload: Payload) -> str:
    asker = _text(payload, "to")
    return f"answered what {asker} asked" if asker else "answered what a reviewer asked"


def _void_approval(payload: Payload) -> str:
    why = _text(payload, "why") or "what was approved has changed"
    return f"voided the approval: {why}"


def _acknowledge(payload: Payload) -> str:
    return f"took on what {_in_words(_several(payload, 'rules')) or 'the rules'} objected"


def _end_lifting(payload: Payload) -> str:
    rules = _in_words(_several(payload, "rules")) or "a rule"
    return f"ended what was taken on of {rules}: the backport changed since"


def _propose_override(payload: Payload) -> str:
    return f"proposed to override {_text(payload, 'rule')}; a second person has to confirm it"


def _confirm_override(payload: Payload) -> str:
    return f"confirmed, as the second person, that {_text(payload, 'rule')} is overridden"


def _end_override(payload: Payload) -> str:
    return f"ended the override of {_text(payload, 'rule')}"


def _hand_over(payload: Payload) -> str:
    return f"handed this backport over from {_text(payload, 'from')} to {_text(payload, 'to')}"


def _person(words: str) -> Callable[[Payload], str]:
    """Return what words a person's account with `{}` for its name, and `{name}` for another."""
    return lambda payload: words.format(
        _text(payload, "person") or "somebody", name=_text(payload, "name") or "a name"
    )


def _grant_roles(payload: Payload) -> str:
    roles = _in_words(_several(payload, "after")) or "no role"
    return f"gave {_text(payload, 'person') or 'somebody'} these roles: {roles}"


def _answer(payload: Payload) -> str:
    first, then = _text(payload, "first"), _text(payload, "then")
    if payload.get("kind") == "together":
        return f"said that {first} and {then} go out together"
    if payload.get("kind") == "unrelated":
        return f"said that {first} and {then} have nothing to do with each other"
    alone = {
        "degraded": f"; {first} alone degrades something",
        "outage": f"; {first} alone is an outage",
    }
    return f"said that {first} goes before {then}{alone.get(_text(payload, 'only_first'), '')}"


def _lock(payload: Payload) -> str:
    queued = _several(payload, "queued")
    named = f": {_in_words(queued)} will go" if queued else "; nothing is in it"
    return f"locked the queue of this window{named}"


def _add_window(payload: Payload) -> str:
    which = "emergency window" if payload.get("emergency") else "window"
    return f"added the {which} {_text(payload, 'title')}".rstrip()


def _move_window(payload: Payload) -> str:
    moments = [_moment(_text(payload, name)) for name in ("from", "to")]
    return f"moved this window from {moments[0]} to {moments[1]}"


def _confirm_emergency(payload: Payload) -> str:
    role = _text(payload, "role").replace("-", " ")
    return f"confirmed for {role} that this window takes place in spite of a freeze"


def _series(words: str) -> Callable[[Payload], str]:
    return lambda payload: f"{words} {_text(payload, 'title')}".rstrip()


def _import_calendar(payload: Payload) -> str:
    count = len(_several(payload, "windows"))
    windows = "window" if count == 1 else "windows"
    return f"imported {count} {windows} from {_text(payload, 'source') or 'a calendar'}"


def _cancel_freeze(payload: Payload) -> str:
    return f"called off the freeze {_text(payload, 'what')}".rstrip()


def _add_freeze(payload: Payload) -> str:
    stranded = _several(payload, "stranded")
    touched = f"; it touches {_in_words(stranded)}" if stranded else ""
    return f"added a freeze{touched}"


def _train(words: str) -> Callable[[Payload], str]:
    return lambda payload: words.format(_text(payload, "version") or "a version")


def _move_group(words: str) -> Callable[[Payload], str]:
    def said(payload: Payload) -> str:
        group, version = _text(payload, "group"), _text(payload, "version")
        before = _text(payload, "from")
        return words.format(group, version) + (f" (from {before})" if before else "")

    return said


def _move_on(payload: Payload) -> str:
    return (
        f"moved this backport from {_text(payload, 'from')} to {_text(payload, 'to')}; "
        "it waits for review"
    )


def _supersede(payload: Payload) -> str:
    return f"booked it again, for {_text(payload, 'to')}: this request does not wait any more"


def _arrive(payload: Payload) -> str:
    version = _text(payload, "version")
    return f"found that the train brought it{f' with {version}' if version else ''}: it is deployed"


def _train_late(payload: Payload) -> str:
    after = _text(payload, "after")
    when = f"on {_moment(after)}" if after else "at a time that nobody can say"
    return f"found that the train brings it later, {when}; a window may serve it better now"


def _take(payload: Payload) -> str:
    before = _text(payload, "from")
    return f"took over the wheel from {before}" if before else "took the wheel of this window"


def _offer(payload: Payload) -> str:
    return f"hands the wheel of this window to {_text(payload, 'to') or 'somebody'}"


def _withdraw_wheel(payload: Payload) -> str:
    return f"drives on: the wheel is not handed to {_text(payload, 'to') or 'anybody'} any more"


def _accept(payload: Payload) -> str:
    return f"accepted the wheel from {_text(payload, 'from') or 'somebody'}"


def _begin(payload: Payload) -> str:
    return f"began this window: {_in_words(_several(payload, 'queued')) or 'nothing'} will go"


_OUTCOMES = ("deployed", "reverted", "skipped", "missed")  # a database may give them in any order


def _close_window(payload: Payload) -> str:
    counts = payload.get("outcomes")
    told = counts if isinstance(counts, dict) else {}
    named = [f"{told[outcome]} {outcome}" for outcome in _OUTCOMES if told.get(outcome)]
    return f"closed this window: {', '.join(named) or 'nothing went'}"


def _extend(payload: Payload) -> str:
    minutes = _text(payload, "minutes") or "some"
    return f"lets steps start {minutes} minutes later than planned"


def _start(payload: Payload) -> str:
    patch_set = _text(payload, "patch_set")
    known = f" with patch set {patch_set}" if patch_set else ""
    unseen = ", without an answer of Gerrit" if payload.get("unverified") else ""
    return f"started to deploy it as step {_text(payload, 'step')}{known}{unseen}"


def _finish(payload: Payload) -> str:
    broken = "; it failed, and was left as it was" if payload.get("broken") else ""
    return f"finished: it is deployed{broken}"


_TICKED: Mapping[str, str] = {
    "before": "did what {about} needs before",
    "merge": "merged {about}",
    "test": "brought {about} to the test servers",
    "verify": "verified {about} on the test servers",
    "sync": "synced {about} to production",
    "watch": "watched the logs for {about}",
    "after": "did what {about} needs after",
    "log": "logged {about}",
    "take-back": "reverted {about} in production",
    "watch-back": "watched the logs after the revert of {about}",
    "log-back": "logged the revert of {about}",
}


def _tick(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    by_plan = ", by its test plan" if payload.get("by_plan") else ""
    told = _TICKED.get(_text(payload, "item"), "did something for {about}")
    return told.format(about=about) + by_plan


def _fail(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    at = _text(payload, "item").replace("-", " ")
    return f"noted that {about} failed{f' at “{at}”' if at else ' after it was done'}"


def _choose(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    if payload.get("choice") == "leave":
        return f"left {about} as is"
    return f"decided to revert {about}"


def _miss_step(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    along = _several(payload, "falls")
    told = f"; with it goes step {_in_words(along)}" if along else ""
    back = "; it is reverted first" if _several(payload, "back") else ""
    return f"let {about} be missed{back}{told}"


def _unverified(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    return f"could not have Gerrit asked about {about}: a second person has to say that it may go"


def _vouch(payload: Payload) -> str:
    about = _in_words(_several(payload, "changes")) or "it"
    return f"said, as the second person, that {about} may go without an answer of Gerrit"


def _moment(text: str) -> str:
    """Return a moment of a payload as people read it; the text itself if it is none."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M} UTC"


_WORDED: Mapping[str, Callable[[Payload], str]] = {
    "backport.submit": _submit,
    "backport.become-known": _become_known,
    "backport.approve": _approve,
    "backport.reply": _reply,
    "backport.void-approval": _void_approval,
    "backport.acknowledge": _acknowledge,
    "backport.end-lifting": _end_lifting,
    "backport.propose-override": _propose_override,
    "backport.confirm-override": _confirm_override,
    "backport.end-override": _end_override,
    "backport.hand-over": _hand_over,
    "person.grant-roles": _grant_roles,
    "person.disable": _person("closed the account {}"),
    "person.enable": _person("opened the account {} again"),
    "person.end-sessions": _person("signed {} out everywhere"),
    "person.reset-second-factor": _person("removed the second factor of {}"),
    "person.add-name": _person("noted that {name} is {}, too"),
    "person.remove-name": _person("noted that {name} is not {}"),
    "person.make-token": _person("made the token “{name}” for the account {}"),
    "person.revoke-token": _person("revoked the token “{name}” of the account {}"),
    "window.call": lambda payload: (
        f"calls those who test: this window begins at {_moment(_text(payload, 'starts'))}"
    ),
    "question.ask": lambda payload: (
        f"asks whether {_text(payload, 'first')} and {_text(payload, 'then')} belong together: "
        "until somebody answers, they are held"
    ),
    "question.answer": _answer,
    "question.contest": lambda payload: (
        f"contested what {_text(payload, 'of')} said of {_text(payload, 'first')} and "
        f"{_text(payload, 'then')}: it has to be answered again"
    ),
    "window.lock": _lock,
    "window.add": _add_window,
    "window.move": _move_window,
    "window.confirm-emergency": _confirm_emergency,
    "series.make": _series("began the series"),
    "series.end": _series("ended the series"),
    "series.extend": _series("made the coming windows of the series"),
    "calendar.import": _import_calendar,
    "freeze.add": _add_freeze,
    "freeze.cancel": _cancel_freeze,
    "train.plan": _train("planned {}"),
    "train.check-out": _train("noted that {} is checked out"),
    "train.remove": _train("noted that {} leaves the deploy host"),
    "train.hold": _train("holds the train at {}"),
    "train.resume": _train("lets the train go on from {}"),
    "train.promote": _move_group("moved {} to {}"),
    "train.roll-back": _move_group("moved {} back to {}"),
    "train.import": _move_group("read that {} is on {}"),
    "train.retire": lambda payload: (
        f"noted that there is no group {_text(payload, 'group')} any more"
    ),
    "backport.move-on": _move_on,
    "backport.miss": lambda payload: (
        f"noted that this backport was missed: {_text(payload, 'reason')}"
    ),
    "backport.arrive": _arrive,
    "backport.train-late": _train_late,
    "backport.supersede": _supersede,
    "backport.start": _start,
    "backport.finish": _finish,
    "backport.take-back": lambda _payload: "took it back: it is reverted",
    "backport.check-in": lambda _payload: "is there to test this backport",
    "lease.take": _take,
    "lease.offer": _offer,
    "lease.withdraw": _withdraw_wheel,
    "lease.accept": _accept,
    "lease.give-back": lambda _payload: "gave the wheel back: nobody drives this window",
    "window.begin": _begin,
    "window.close": _close_window,
    "window.extend": _extend,
    "step.tick": _tick,
    "step.fail": _fail,
    "step.choose": _choose,
    "step.miss": _miss_step,
    "step.unverified": _unverified,
    "step.vouch": _vouch,
}

KINDS: frozenset[str] = frozenset(_SAID) | frozenset(_WORDED)
