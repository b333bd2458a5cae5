# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('exports', '0001_held_out_prompts_and_snapshots'), ('exports', '0002_changes'), ('exports', '0003_more_kinds_of_changes')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
    ]

    operations = [
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('transaction_id', models.BigIntegerField()),
                ('kind', models.CharField(choices=[('submission', 'Submission'), ('vote', 'Vote'), ('verdict', 'Verdict'), ('limitation', 'Known limitation'), ('snapshot', 'Snapshot')], max_length=10)),
                ('record_id', models.UUIDField(null=True)),
                ('record_number', models.PositiveIntegerField(null=True)),
                ('change', models.CharField(choices=[('created', 'Created'), ('changed', 'Changed'), ('withdrawn', 'Withdrawn')], max_length=10)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['transaction_id', 'id'],
                'indexes': [models.Index(fields=['transaction_id', 'id'], name='change_order')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('record_id__isnull', False), ('record_number__isnull', True)), models.Q(('record_id__isnull', True), ('record_number__isnull', False)), _connector='OR'), name='change_of_one_record')],
            },
        ),
        migrations.CreateModel(
            name='HeldOutPrompt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('note', models.CharField(blank=True, help_text='Which benchmark, why.', max_length=200, verbose_name='note')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'held-out prompt',
                'verbose_name_plural': 'held-out prompts',
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='Snapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('running', 'Running'), ('succeeded', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=10, verbose_name='state')),
                ('attempt', models.PositiveIntegerField(default=0, verbose_name='attempt')),
                ('lost_leases', models.PositiveSmallIntegerField(default=0, verbose_name='workers lost')),
                ('claimed_by', models.CharField(blank=True, max_length=64, verbose_name='worker')),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                ('stage', models.CharField(blank=True, max_length=40, verbose_name='stage')),
                ('done', models.BigIntegerField(default=0)),
                ('total', models.BigIntegerField(default=0)),
                ('error', models.CharField(blank=True, max_length=1000, verbose_name='error')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='asked for')),
                ('dispatch_after', models.DateTimeField(default=django.utils.timezone.now)),
                ('dispatches', models.PositiveIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('number', models.PositiveIntegerField(blank=True, editable=False, null=True, unique=True, verbose_name='number')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('note', models.TextField(blank=True, max_length=2000, verbose_name='note')),
                ('tables', models.JSONField(verbose_name='tables')),
                ('criteria', models.JSONField(default=dict, verbose_name='filters')),
                ('as_of', models.DateTimeField(default=django.utils.timezone.now, verbose_name='as of')),
                ('salting', models.CharField(choices=[('own', "One of this snapshot's own: nobody is recognised in another snapshot or in the API"), ('shared', "The installation's: the pseudonyms are those of the API and of other such snapshots")], default='own', max_length=6, verbose_name='pseudonyms')),
                ('salt', models.CharField(editable=False, max_length=64)),
                ('redacts', models.BooleanField(default=False, verbose_name='replaces what looks like personal data')),
                ('manifest', models.JSONField(default=dict, verbose_name='manifest')),
                ('previous', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='exports.snapshot')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'snapshot',
                'verbose_name_plural': 'snapshots',
                'ordering': ['-created_at', '-pk'],
                'indexes': [models.Index(fields=['-created_at', '-id'], name='snapshot_created')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state', 'succeeded'), _negated=True), ('number__isnull', False), _connector='OR'), name='published_snapshot_has_number')],
            },
        ),
        migrations.CreateModel(
            name='SnapshotDownload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(max_length=200, verbose_name='file')),
                ('first_byte', models.BigIntegerField(default=0, verbose_name='first byte')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='time')),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='exports.snapshot')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'download of a snapshot',
                'verbose_name_plural': 'downloads of snapshots',
                'ordering': ['-at', '-pk'],
                'indexes': [models.Index(fields=['snapshot', '-at'], name='snapshot_download')],
            },
        ),
        migrations.CreateModel(
            name='SnapshotRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('record_id', models.UUIDField()),
                ('is_vote', models.BooleanField(default=False)),
                ('version', models.BigIntegerField()),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='records', to='exports.snapshot')),
            ],
            options={
                'indexes': [models.Index(fields=['record_id'], name='snapshot_record_id')],
                'constraints': [models.UniqueConstraint(fields=('snapshot', 'record_id'), name='snapshot_record_unique')],
            },
        ),
    ]
