# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.db.models.deletion
import django.utils.timezone
import portal.playground.models.sharing
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('playground', '0001_initial'), ('playground', '0002_unlisted_conversations'), ('playground', '0003_conversation_tree_sharing_and_library'), ('playground', '0004_conversations_by_creation')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
        ('accounts', '__first__'),
        ('catalog', '0001_cards'),
    ]

    operations = [
        migrations.CreateModel(
            name='MaintenanceLease',
            fields=[
                ('name', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('free_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='WorkerHeartbeat',
            fields=[
                ('worker_id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('hostname', models.CharField(max_length=200)),
                ('queues', models.JSONField(default=list)),
                ('capacity', models.PositiveIntegerField()),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='Conversation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True)),
                ('title', models.CharField(blank=True, max_length=120, verbose_name='title')),
                ('system_prompt', models.TextField(blank=True, verbose_name='system prompt')),
                ('is_listed', models.BooleanField(default=True, editable=False)),
                ('deleted_at', models.DateTimeField(blank=True, null=True, verbose_name='deleted')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='conversations', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'conversation',
                'verbose_name_plural': 'conversations',
                'ordering': ['-updated_at', '-id'],
                'indexes': [models.Index(fields=['owner', '-updated_at', '-id'], name='conversation_of_owner'), models.Index(fields=['owner', '-created_at', '-id'], name='conversation_begun_by_owner'), models.Index(fields=['visitor', '-updated_at', '-id'], name='conversation_of_visitor'), models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['deleted_at'], name='conversation_to_be_purged')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='conversation_has_one_owner')],
            },
        ),
        migrations.CreateModel(
            name='Preset',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True)),
                ('name', models.CharField(max_length=60, verbose_name='name')),
                ('params', models.JSONField(default=dict, verbose_name='sampling parameters')),
                ('system_prompt', models.TextField(blank=True, verbose_name='system prompt')),
                ('share_token', models.CharField(blank=True, editable=False, max_length=64, null=True, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='presets', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'preset',
                'verbose_name_plural': 'presets',
                'ordering': ['name', 'id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='preset_has_one_owner'), models.UniqueConstraint(condition=models.Q(('owner__isnull', False)), fields=('owner', 'name'), name='preset_name_unique_per_user'), models.UniqueConstraint(condition=models.Q(('visitor__isnull', False)), fields=('visitor', 'name'), name='preset_name_unique_per_visitor')],
            },
        ),
        migrations.CreateModel(
            name='PromptCollection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=80, unique=True, verbose_name='name in addresses')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('description', models.TextField(blank=True, max_length=2000, verbose_name='description')),
                ('is_published', models.BooleanField(default=True, verbose_name='published')),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='position')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'prompt collection',
                'verbose_name_plural': 'prompt collections',
                'ordering': ['position', 'title'],
            },
        ),
        migrations.CreateModel(
            name='Generation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('request_key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('kind', models.CharField(choices=[('chat', 'Chat'), ('completion', 'Raw completion'), ('score', 'Scored text')], default='chat', max_length=10, verbose_name='kind')),
                ('prompt', models.TextField(verbose_name='prompt')),
                ('messages', models.JSONField(verbose_name='messages sent to the model')),
                ('params', models.JSONField(verbose_name='sampling parameters')),
                ('dropped_turns', models.PositiveSmallIntegerField(default=0, verbose_name='turns left out')),
                ('opening', models.JSONField(blank=True, default=list, verbose_name='beginning given')),
                ('branch_token', models.PositiveIntegerField(blank=True, null=True, verbose_name='branched at token')),
                ('is_repeatable', models.BooleanField(default=False, verbose_name='repeats exactly')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=10, verbose_name='state')),
                ('attempt', models.PositiveIntegerField(default=0, verbose_name='attempt')),
                ('lost_leases', models.PositiveSmallIntegerField(default=0, verbose_name='workers lost')),
                ('claimed_by', models.CharField(blank=True, max_length=64, verbose_name='worker')),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                ('rendered_prompt', models.TextField(blank=True, verbose_name='rendered prompt')),
                ('output', models.TextField(blank=True, verbose_name='answer')),
                ('thinking', models.TextField(blank=True, verbose_name='thinking')),
                ('finish_reason', models.CharField(blank=True, max_length=20, verbose_name='finish reason')),
                ('error_code', models.CharField(blank=True, max_length=40, verbose_name='error code')),
                ('error_message', models.CharField(blank=True, max_length=500, verbose_name='error message')),
                ('usage', models.JSONField(default=dict, verbose_name='usage')),
                ('timings', models.JSONField(default=dict, verbose_name='timings')),
                ('provenance', models.JSONField(default=dict, verbose_name='provenance')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('queued_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='queued')),
                ('dispatch_after', models.DateTimeField(default=django.utils.timezone.now)),
                ('dispatches', models.PositiveIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('api_token', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.KNOX_TOKEN_MODEL)),
                ('branched_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='branches', to='playground.generation')),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='generations', to='playground.conversation')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='playground.generation')),
                ('rerun_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='reruns', to='playground.generation')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='generations', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'generation',
                'verbose_name_plural': 'generations',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['conversation', 'created_at'], name='generation_in_conversation'), models.Index(fields=['-created_at', '-id'], name='generation_created'), models.Index(condition=models.Q(('state', 'queued')), fields=['variant', 'queued_at'], name='generation_queue'), models.Index(condition=models.Q(('state', 'running')), fields=['lease_expires_at'], name='generation_lease')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state', 'running'), _negated=True), models.Q(('lease_expires_at__isnull', False), models.Q(('claimed_by', ''), _negated=True)), _connector='OR'), name='running_generation_is_leased'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('state__in', ('queued', 'running'))), models.Q(('finished_at__isnull', False), ('state__in', ('succeeded', 'failed', 'cancelled'))), _connector='OR'), name='final_generation_has_finished_at')],
            },
        ),
        migrations.CreateModel(
            name='LibraryPrompt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(blank=True, max_length=120, verbose_name='title')),
                ('prompt', models.TextField(max_length=8000, verbose_name='prompt')),
                ('system_prompt', models.TextField(blank=True, max_length=8000, verbose_name='system prompt')),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='position')),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prompts', to='playground.promptcollection')),
            ],
            options={
                'verbose_name': 'library prompt',
                'verbose_name_plural': 'library prompts',
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='TokenTrace',
            fields=[
                ('generation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='trace', serialize=False, to='playground.generation')),
                ('tokens', models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name='ShareLink',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('token', models.CharField(default=portal.playground.models.sharing.new_token, editable=False, max_length=64, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked')),
                ('conversation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='share_links', to='playground.conversation')),
                ('generation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='share_links', to='playground.generation')),
            ],
            options={
                'verbose_name': 'share link',
                'verbose_name_plural': 'share links',
                'ordering': ['-created_at', '-id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('conversation__isnull', True), ('generation__isnull', False)), models.Q(('conversation__isnull', False), ('generation__isnull', True)), _connector='OR'), name='share_link_has_one_target'), models.UniqueConstraint(condition=models.Q(('revoked_at__isnull', True)), fields=('generation',), name='share_link_one_per_generation'), models.UniqueConstraint(condition=models.Q(('revoked_at__isnull', True)), fields=('conversation',), name='share_link_one_per_conversation')],
            },
        ),
    ]
