"""The database itself refuses to change the history, whoever asks; removing goes by the model alone, which refuses too."""


def refuse_changes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            """
            CREATE FUNCTION reviews_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'the history is append-only'; END $$
            """
        )
        schema_editor.execute(
            "CREATE TRIGGER reviews_event_append_only BEFORE UPDATE ON reviews_event"
            " FOR EACH ROW EXECUTE FUNCTION reviews_event_refuse()"
        )
    else:
        schema_editor.execute(
            "CREATE TRIGGER reviews_event_append_only BEFORE UPDATE ON reviews_event"
            " BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
        )


def allow_changes(apps, schema_editor):
    on = " ON reviews_event" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER reviews_event_append_only{on}")
    if on:
        schema_editor.execute("DROP FUNCTION reviews_event_refuse()")
