"""The audit log is append-only: the database itself refuses to alter or delete an event."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FORWARDS = {
    "sqlite": [
        """
        CREATE TRIGGER scheduler_event_no_update BEFORE UPDATE ON scheduler_event
        BEGIN SELECT RAISE(ABORT, 'scheduler_event is append-only'); END
        """,
        """
        CREATE TRIGGER scheduler_event_no_delete BEFORE DELETE ON scheduler_event
        BEGIN SELECT RAISE(ABORT, 'scheduler_event is append-only'); END
        """,
    ],
    "postgresql": [
        """
        CREATE FUNCTION scheduler_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'scheduler_event is append-only'
                USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """,
        """
        CREATE TRIGGER scheduler_event_append_only BEFORE UPDATE OR DELETE ON scheduler_event
        FOR EACH ROW EXECUTE FUNCTION scheduler_event_refuse()
        """,
    ],
}

BACKWARDS = {
    "sqlite": [
        "DROP TRIGGER scheduler_event_no_update",
        "DROP TRIGGER scheduler_event_no_delete",
    ],
    "postgresql": [
        "DROP TRIGGER scheduler_event_append_only ON scheduler_event",
        "DROP FUNCTION scheduler_event_refuse()",
    ],
}


def add_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the triggers of this database."""
    for statement in FORWARDS[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def drop_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers of this database."""
    for statement in BACKWARDS[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [("scheduler", "0001_initial")]

    operations = [migrations.RunPython(add_triggers, drop_triggers)]
