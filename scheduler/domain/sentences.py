"""Events in words: what somebody did, as history, mail and exports say it."""

from collections.abc import Callable, Mapping

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
    "question.answer": _answer,
    "window.lock": _lock,
}

KINDS: frozenset[str] = frozenset(_SAID) | frozenset(_WORDED)
