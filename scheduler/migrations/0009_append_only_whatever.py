"""The log is append-only for `INSERT OR REPLACE` and `TRUNCATE`, too, which pass the triggers."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FORWARDS = {
    "sqlite": """
        CREATE TRIGGER scheduler_event_no_replace BEFORE INSERT ON scheduler_event
        WHEN typeof(NEW.seq) <> 'integer' OR NEW.seq < 1 OR EXISTS (
            SELECT 1 FROM scheduler_event
            WHERE id = NEW.id OR seq = NEW.seq OR hash = NEW.hash
        )
        BEGIN SELECT RAISE(ABORT, 'scheduler_event is append-only'); END
        """,
    "postgresql": """
        CREATE TRIGGER scheduler_event_no_truncate BEFORE TRUNCATE ON scheduler_event
        FOR EACH STATEMENT EXECUTE FUNCTION scheduler_event_refuse()
        """,
}

BACKWARDS = {
    "sqlite": "DROP TRIGGER scheduler_event_no_replace",
    "postgresql": "DROP TRIGGER scheduler_event_no_truncate ON scheduler_event",
}


def add_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the trigger of this database."""
    schema_editor.execute(FORWARDS[schema_editor.connection.vendor])


def drop_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the trigger of this database."""
    schema_editor.execute(BACKWARDS[schema_editor.connection.vendor])


class Migration(migrations.Migration):

    dependencies = [("scheduler", "0008_asked_by_and_sequences")]

    operations = [migrations.RunPython(add_triggers, drop_triggers)]
