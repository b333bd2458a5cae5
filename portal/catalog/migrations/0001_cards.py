# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('catalog', '0001_initial'), ('catalog', '0002_variant_base'), ('catalog', '0003_gates_lineage_following'), ('catalog', '0004_imports_and_weight_readings'), ('catalog', '0005_mails_about_decisions'), ('catalog', '0006_card_pictures')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelCard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner_name', models.CharField(max_length=96, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?\\Z', 'Use letters, digits, dots, hyphens and underscores, at most 96, beginning and ending with a letter or digit.')], verbose_name='owner')),
                ('slug', models.CharField(max_length=96, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?\\Z', 'Use letters, digits, dots, hyphens and underscores, at most 96, beginning and ending with a letter or digit.')], verbose_name='name')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('summary', models.CharField(blank=True, max_length=500, verbose_name='summary')),
                ('is_published', models.BooleanField(default=True, verbose_name='published')),
                ('gate', models.CharField(choices=[('open', 'Open: everybody runs it'), ('agreement', 'By agreement: who fills in the form runs it at once'), ('approval', 'By approval: a maintainer answers each request')], default='open', help_text="The form's questions and terms are extra_gated_… fields of the card's text.", max_length=10, verbose_name='who may run it')),
                ('picture_name', models.CharField(blank=True, editable=False, max_length=100)),
                ('parameters', models.BigIntegerField(editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
            ],
            options={
                'verbose_name': 'model card',
                'verbose_name_plural': 'model cards',
                'ordering': ['-updated_at', '-pk'],
                'indexes': [models.Index(fields=['-updated_at', '-id'], name='card_updated')],
                'constraints': [models.UniqueConstraint(fields=('owner_name', 'slug'), name='card_name_unique')],
            },
        ),
        migrations.CreateModel(
            name='CardRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='number')),
                ('text', models.TextField(verbose_name='text')),
                ('metadata', models.JSONField(default=dict, verbose_name='metadata')),
                ('sha256', models.CharField(max_length=64)),
                ('note', models.CharField(blank=True, max_length=300, verbose_name='note')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='revisions', to='catalog.modelcard')),
            ],
            options={
                'verbose_name': 'card revision',
                'verbose_name_plural': 'card revisions',
                'ordering': ['-number'],
                'constraints': [models.UniqueConstraint(fields=('card', 'number'), name='revision_number_unique')],
            },
        ),
        migrations.CreateModel(
            name='Follow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='since')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='follows', to=settings.AUTH_USER_MODEL)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='follows', to='catalog.modelcard')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('card', 'user'), name='follow_unique')],
            },
        ),
        migrations.CreateModel(
            name='CardPicture',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content', models.BinaryField()),
                ('card', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='picture', to='catalog.modelcard')),
            ],
        ),
        migrations.CreateModel(
            name='CardFacet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('license', 'Licence'), ('language', 'Language'), ('task', 'Task'), ('size', 'Parameters'), ('quantisation', 'Quantisation'), ('gate', 'Access')], max_length=12)),
                ('value', models.CharField(max_length=200)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='facets', to='catalog.modelcard')),
            ],
            options={
                'indexes': [models.Index(fields=['kind', 'value', 'card'], name='card_facet_value')],
                'constraints': [models.UniqueConstraint(fields=('card', 'kind', 'value'), name='card_facet_unique')],
            },
        ),
        migrations.CreateModel(
            name='CardEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('revision', 'New text'), ('variant', 'New variant'), ('limitation', 'Known limitation')], max_length=12, verbose_name='kind')),
                ('key', models.CharField(max_length=120)),
                ('title', models.CharField(max_length=300, verbose_name='title')),
                ('address', models.CharField(max_length=300)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='happened')),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='catalog.modelcard')),
            ],
            options={
                'ordering': ['-created_at', '-pk'],
                'indexes': [models.Index(fields=['-created_at', '-id'], name='card_event_created'), models.Index(fields=['card', '-created_at', '-id'], name='card_event_of_card')],
                'constraints': [models.UniqueConstraint(fields=('card', 'kind', 'key'), name='card_event_unique')],
            },
        ),
        migrations.CreateModel(
            name='CardDraft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(verbose_name='text')),
                ('note', models.CharField(blank=True, max_length=300, verbose_name='note')),
                ('based_on', models.PositiveIntegerField(default=0)),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated')),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drafts', to='catalog.modelcard')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('card', 'author'), name='card_draft_unique')],
            },
        ),
        migrations.CreateModel(
            name='CardBase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('relation', models.CharField(blank=True, choices=[('quantized', 'Quantised'), ('adapter', 'Adapter'), ('finetune', 'Fine-tuned'), ('merge', 'Merged')], max_length=10)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bases', to='catalog.modelcard')),
            ],
            options={
                'indexes': [models.Index(fields=['name', 'card'], name='card_base_name')],
                'constraints': [models.UniqueConstraint(fields=('card', 'name'), name='card_base_unique')],
            },
        ),
        migrations.CreateModel(
            name='AccessRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('pending', 'Waiting'), ('granted', 'Granted'), ('declined', 'Declined'), ('revoked', 'Revoked')], default='pending', max_length=10, verbose_name='state')),
                ('answers', models.JSONField(default=dict, verbose_name='answers')),
                ('terms', models.TextField(blank=True, verbose_name='terms agreed to')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='asked')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='access_requests', to=settings.AUTH_USER_MODEL)),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='access_requests', to='catalog.modelcard')),
            ],
            options={
                'verbose_name': 'access request',
                'verbose_name_plural': 'access requests',
                'ordering': ['-created_at', '-pk'],
                'indexes': [models.Index(fields=['user', 'card', 'state'], name='access_of_user'), models.Index(fields=['card', 'state', '-created_at'], name='access_of_card')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['pending', 'granted'])), fields=('card', 'user'), name='access_one_open_request')],
            },
        ),
        migrations.CreateModel(
            name='Variant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.CharField(max_length=96, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?\\Z', 'Use letters, digits, dots, hyphens and underscores, at most 96, beginning and ending with a letter or digit.')], verbose_name='name')),
                ('backend', models.CharField(choices=[('transformers', 'Local weights (transformers)'), ('openai', 'OpenAI-compatible upstream')], max_length=20, verbose_name='backend')),
                ('source', models.CharField(max_length=500, verbose_name='source')),
                ('relation', models.CharField(blank=True, choices=[('quantized', 'Quantised'), ('adapter', 'Adapter'), ('finetune', 'Fine-tuned'), ('merge', 'Merged')], max_length=10, verbose_name='relation to its base')),
                ('format', models.CharField(blank=True, max_length=20, verbose_name='format')),
                ('dtype', models.CharField(blank=True, max_length=20, verbose_name='dtype')),
                ('quantisation', models.CharField(blank=True, max_length=40, verbose_name='quantisation')),
                ('digests', models.JSONField(default=dict, verbose_name='SHA-256 per file')),
                ('facts', models.JSONField(default=dict, verbose_name='facts read from the weights')),
                ('file_stamps', models.JSONField(default=dict, editable=False)),
                ('defaults', models.JSONField(blank=True, default=dict, verbose_name='default sampling parameters')),
                ('queue', models.CharField(default='generations', max_length=100, verbose_name='Celery queue')),
                ('is_runnable', models.BooleanField(default=True, verbose_name='runnable')),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='position')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('base', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='derived', to='catalog.variant', verbose_name='base variant')),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='variants', to='catalog.modelcard')),
            ],
            options={
                'verbose_name': 'variant',
                'verbose_name_plural': 'variants',
                'ordering': ['position', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('card', 'slug'), name='variant_name_unique'), models.CheckConstraint(condition=models.Q(models.Q(('relation', 'adapter'), _negated=True), ('base__isnull', False), _connector='OR'), name='adapter_has_a_base'), models.CheckConstraint(condition=models.Q(('base__isnull', True), models.Q(('base', models.F('id')), _negated=True), _connector='OR'), name='variant_is_not_its_base')],
            },
        ),
        migrations.CreateModel(
            name='TensorList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('part', models.CharField(choices=[('weights', 'The weights that run'), ('origin', 'The file they were converted from')], max_length=10)),
                ('packed', models.BinaryField()),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tensor_lists', to='catalog.variant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('variant', 'part'), name='tensor_list_unique')],
            },
        ),
        migrations.CreateModel(
            name='Import',
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
                ('source', models.CharField(max_length=500, verbose_name='source')),
                ('options', models.JSONField(default=dict, verbose_name='options')),
                ('created_variant', models.BooleanField(default=False)),
                ('left_out', models.JSONField(default=list)),
                ('log', models.JSONField(default=list)),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('variant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'import',
                'verbose_name_plural': 'imports',
                'ordering': ['-created_at', '-pk'],
                'indexes': [models.Index(fields=['-created_at', '-id'], name='import_created')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('source',), name='import_once_at_a_time')],
            },
        ),
        migrations.CreateModel(
            name='WeightReading',
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
                ('key', models.CharField(max_length=64, unique=True)),
                ('kind', models.CharField(choices=[('tensor', "One tensor's values"), ('comparison', 'What differs between two variants')], max_length=10)),
                ('part', models.CharField(blank=True, max_length=10)),
                ('tensor', models.TextField(blank=True)),
                ('result', models.JSONField(default=dict)),
                ('other', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.variant')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'reading of weights',
                'verbose_name_plural': 'readings of weights',
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='EventMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('claimed', 'Being sent'), ('sent', 'Sent'), ('dropped', 'Not sent')], default='queued', max_length=8, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='due')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent')),
                ('decision', models.CharField(blank=True, choices=[('pending', 'Waiting'), ('granted', 'Granted'), ('declined', 'Declined'), ('revoked', 'Revoked')], max_length=10, verbose_name='decision')),
                ('access_request', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='mails', to='catalog.accessrequest')),
                ('event', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='mails', to='catalog.cardevent')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'queued')), fields=['due_at'], name='event_mail_due')],
                'constraints': [models.UniqueConstraint(fields=('event', 'user'), name='event_mail_unique'), models.UniqueConstraint(fields=('access_request', 'decision'), name='decision_mail_unique'), models.CheckConstraint(condition=models.Q(models.Q(('access_request__isnull', True), ('decision', ''), ('event__isnull', False)), models.Q(('access_request__isnull', False), ('event__isnull', True), models.Q(('decision', ''), _negated=True)), _connector='OR'), name='mail_about_one_thing')],
            },
        ),
        migrations.AddField(
            model_name='ModelCard',
            name='current_revision',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.cardrevision'),
        ),
    ]
