"""Votes come under review as submissions do: an item is of the one or of the other.

To let a column be null, and for a column with a constraint, SQLite has to copy the table with its indexes. That is the
work of this migration, so it is done once: what comes before the last step only says there what the copy will have.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class OnceWithTheCopy:
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'sqlite':
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class AddIndex(OnceWithTheCopy, migrations.AddIndex):
    pass


class AddConstraint(OnceWithTheCopy, migrations.AddConstraint):
    pass


class AddColumn(OnceWithTheCopy, migrations.AddField):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        if schema_editor.connection.vendor == 'sqlite':
            model = to_state.apps.get_model(app_label, self.model_name)
            field = model._meta.get_field(self.name)
            table, column = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name(field.column)
            schema_editor.execute(f'ALTER TABLE {table} ADD COLUMN {column} {field.db_type(schema_editor.connection)} NULL')


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0004_votes_under_review'),
        ('catalog', '0006_card_pictures'),
        ('feedback', '0004_one_target_each'),
        ('reviews', '0004_mailed_notices'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddColumn(
            model_name='reviewitem',
            name='vote',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='review_item', to='arena.vote'),
        ),
        AddIndex(
            model_name='reviewitem',
            index=models.Index(fields=['target_kind', 'state', '-entered_at', '-id'], name='item_of_target_kind'),
        ),
        AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('submission__isnull', False), ('vote__isnull', True)), models.Q(('submission__isnull', True), ('vote__isnull', False)), _connector='OR'), name='item_of_one_subject'),
        ),
        # Copies the table on SQLite, with everything that the steps before said.
        migrations.AlterField(
            model_name='reviewitem',
            name='submission',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='review_item', to='feedback.submission'),
        ),
        migrations.AlterField(
            model_name='reviewitem',
            name='entered_by',
            field=models.CharField(choices=[('all', 'Everything enters'), ('sample', 'Drawn into the sample'), ('flagged', 'Flagged'), ('disagreement', 'People disagree'), ('hand', 'Put in by hand')], max_length=20, verbose_name='entered by'),
        ),
        migrations.AlterField(
            model_name='queuepolicy',
            name='enter_disagreement',
            field=models.BooleanField(default=True, help_text="Two people judged the same answer, or two models' answers to one prompt, differently.", verbose_name='disagreement enters'),
        ),
        migrations.AlterField(
            model_name='queuepolicy',
            name='enter_flagged',
            field=models.BooleanField(default=True, help_text='A bad answer, a report of harm, error or bias, a correction, a void vote, or a sign of abuse.', verbose_name='what is flagged enters'),
        ),
    ]
