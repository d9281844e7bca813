"""What kind of project a change is of, and whether it declares anything, for what is stored."""

import hashlib
import json

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from scheduler.domain.changes import Change, project_kind


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Work out both for every change that the review system has told about."""
    rows = apps.get_model("scheduler", "Change").objects.filter(fetched_at__isnull=False)
    for row in rows.only("pk", "project", "message").iterator():
        read = Change(row.pk, row.project, "", "", message=row.message)
        row.kind = project_kind(row.project).value
        row.declares = bool(read.depends_on)
        row.save(update_fields=["kind", "declares"])


def count_on(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let promotions count on from what calendars had: the events of the train."""
    events = apps.get_model("scheduler", "Event").objects.filter(kind__startswith="train.")
    apps.get_model("scheduler", "Promotion").objects.update(sequence=events.count())


def keep_acknowledgements(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Keep what is taken on for the patch set that it was taken on for, which is the current one.

    Another one would have ended it: `fingerprints.patch_set_of`.
    """
    in_force = apps.get_model("scheduler", "Acknowledgement").objects.filter(ended_at__isnull=True)
    for row in in_force.select_related("backport__change"):
        change = row.backport.change
        shown = {"patch_set": change.patch_set, "sha": change.sha, "branch": change.branch}
        text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
        row.content = hashlib.sha256(text.encode()).hexdigest()
        row.save(update_fields=["content"])


class Migration(migrations.Migration):

    dependencies = [
        ('scheduler', '0009_append_only_whatever'),
    ]

    operations = [
        migrations.AddField(
            model_name='change',
            name='declares',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='change',
            name='kind',
            field=models.CharField(blank=True, choices=[('code', 'Code'), ('config', 'Config'), ('other', 'Other')], max_length=6),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(count_on, migrations.RunPython.noop),
        migrations.RunPython(keep_acknowledgements, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['branch', 'status', '-number'], name='change_of_branch'),
        ),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['kind', 'status', '-number'], name='change_of_kind'),
        ),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(condition=models.Q(('declares', True)), fields=['kind', '-number'], name='change_declares'),
        ),
    ]
