"""What a vote under review needs. A million votes stay where they are: no step writes their rows anew."""

from django.conf import settings
from django.db import migrations, models


class AddEmptyText(migrations.AddField):
    """A text column, empty in every row. To add one, Django copies the whole table on SQLite; SQLite itself need not."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'sqlite':
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        table, column = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name(field.column)
        kind = field.db_type(schema_editor.connection)
        schema_editor.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind} NOT NULL DEFAULT ''")


class Widen(migrations.AlterField):
    """More characters than before. SQLite keeps no length, so there is nothing to change."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'sqlite':
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self.database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0003_ranking_single_flight'),
        ('catalog', '0006_card_pictures'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddEmptyText(
            model_name='vote',
            name='network_digest',
            field=models.CharField(blank=True, editable=False, max_length=20),
        ),
        AddEmptyText(
            model_name='vote',
            name='review_reason',
            field=models.CharField(blank=True, editable=False, max_length=500, verbose_name='reason for the voter'),
        ),
        migrations.AddField(
            model_name='vote',
            name='withdrawn_at',
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name='withdrawn'),
        ),
        Widen(
            model_name='vote',
            name='review_state',
            field=models.CharField(choices=[('unreviewed', 'Not reviewed yet'), ('in_review', 'In review'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('needs_information', 'Needs information from you'), ('escalated', 'Looked at again')], default='unreviewed', max_length=20, verbose_name='review'),
        ),
        migrations.AddIndex(
            model_name='vote',
            index=models.Index(fields=['prompt_digest', 'variant_a', 'variant_b'], name='vote_on_prompt'),
        ),
    ]
