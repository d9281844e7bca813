"""What kind of project a change is of, and whether it declares anything, for what is stored."""

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
