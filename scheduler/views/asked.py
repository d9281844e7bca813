"""What the detector of couplings asked, what came of it, and which names say nothing any more."""

from django.db.models import QuerySet
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from scheduler.domain.coupling.evidence import ASK_ACROSS_FROM, ASK_FROM
from scheduler.models import Statement
from scheduler.services.coupling import outcomes
from scheduler.views.http import PageRequest, page

MOST_SHOWN = 200


@require_safe
def couplings(request: PageRequest) -> HttpResponse:
    """Show how often each kind of evidence was right, and what was dismissed by whom and why."""
    rows = outcomes()
    context = {
        "section": "policy",
        "outcomes": rows,
        "is_empty": not any(row.asked for row in rows),
        "dismissed": list(_dismissed()[:MOST_SHOWN]),
        "most_shown": MOST_SHOWN,
        "least": ASK_FROM,
        "least_across": ASK_ACROSS_FROM,
    }
    return page(request, "scheduler/policy/couplings.html", context)


def _dismissed() -> QuerySet[Statement]:
    """Return the statements in force that dismissed names, the newest first."""
    rows = Statement.objects.filter(superseded_at__isnull=True, dismissed__isnull=False)
    return (
        rows.select_related("by", "first", "then")
        .defer("first__diff", "then__diff", "first__message", "then__message")
        .prefetch_related("dismissed")
        .order_by("-made_at", "-pk")
        .distinct()
    )
