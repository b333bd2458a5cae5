# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('arena', '0001_pools_contests_votes'), ('arena', '0002_replies'), ('arena', '0003_ranking_single_flight'), ('arena', '0004_votes_under_review'), ('arena', '0005_networks_of_votes')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
        ('catalog', '0001_cards'),
        ('playground', '0001_conversations'),
    ]

    operations = [
        migrations.CreateModel(
            name='Pool',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=60, unique=True, verbose_name='name')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('summary', models.CharField(blank=True, max_length=300, verbose_name='summary')),
                ('pairing', models.CharField(choices=[('cards', 'Variants of different cards'), ('precisions', 'Variants of one card'), ('any', 'Any two variants')], default='any', max_length=10, verbose_name='pairing')),
                ('is_automatic', models.BooleanField(default=False, help_text='With weight 1, unless an entry below gives another; a weight of 0 keeps a variant out.', verbose_name='takes every runnable variant')),
                ('is_open', models.BooleanField(default=True, help_text='New battles may begin in it.', verbose_name='open')),
                ('identity_words', models.TextField(blank=True, help_text='One per line, beside the names of cards and owners: an answer with one of them is not ranked.', verbose_name='words that give a name away')),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='position')),
            ],
            options={
                'verbose_name': 'pool',
                'verbose_name_plural': 'pools',
                'ordering': ['position', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='Ranking',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('filters', models.JSONField(default=dict, verbose_name='filters')),
                ('result', models.JSONField(blank=True, null=True, verbose_name='result')),
                ('vote_count', models.PositiveIntegerField(default=0, verbose_name='votes')),
                ('high_water', models.DateTimeField(blank=True, null=True, verbose_name='newest vote')),
                ('computed_at', models.DateTimeField(blank=True, null=True, verbose_name='computed')),
                ('busy_until', models.DateTimeField(default=django.utils.timezone.now)),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='last asked for')),
            ],
            options={
                'verbose_name': 'ranking',
                'verbose_name_plural': 'rankings',
                'ordering': ['-asked_at'],
                'indexes': [models.Index(fields=['asked_at'], name='ranking_asked')],
            },
        ),
        migrations.CreateModel(
            name='Contest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('side_by_side', 'Side by side'), ('battle', 'Battle')], max_length=12, verbose_name='kind')),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True)),
                ('request_key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('sealed_as', models.UUIDField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('revealed_at', models.DateTimeField(blank=True, null=True, verbose_name='names shown')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='contests', to=settings.AUTH_USER_MODEL)),
                ('pool', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='contests', to='arena.pool')),
            ],
            options={
                'verbose_name': 'contest',
                'verbose_name_plural': 'contests',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['owner', '-created_at'], name='contest_of_owner'), models.Index(fields=['visitor', '-created_at'], name='contest_of_visitor')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='contest_has_one_owner'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'battle'), ('pool__isnull', False)), models.Q(('kind', 'side_by_side'), ('pool__isnull', True)), _connector='OR'), name='contest_battle_has_pool'), models.CheckConstraint(condition=models.Q(('sealed_as__isnull', True), models.Q(('kind', 'battle'), ('revealed_at__isnull', True)), _connector='OR'), name='contest_sealed_is_blind_battle')],
            },
        ),
        migrations.CreateModel(
            name='PoolEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weight', models.FloatField(default=1.0, verbose_name='sampling weight')),
                ('pool', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='arena.pool')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pool_entries', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'pool entry',
                'verbose_name_plural': 'pool entries',
                'constraints': [models.UniqueConstraint(fields=('pool', 'variant'), name='pool_entry_unique'), models.CheckConstraint(condition=models.Q(('weight__gte', 0), ('weight__lte', 1000)), name='pool_entry_weight_in_range')],
            },
        ),
        migrations.CreateModel(
            name='Contender',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField(verbose_name='side, counted from the left')),
                ('params', models.JSONField(verbose_name='sampling parameters')),
                ('conversation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='contender', to='playground.conversation')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='contenders', to='catalog.variant')),
                ('contest', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='contenders', to='arena.contest')),
            ],
            options={
                'verbose_name': 'contender',
                'verbose_name_plural': 'contenders',
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('contest', 'position'), name='contender_position_unique'), models.CheckConstraint(condition=models.Q(('position__lt', 4)), name='contender_position_in_range')],
            },
        ),
        migrations.CreateModel(
            name='Comparison',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('side_by_side', 'Side by side'), ('battle', 'Battle')], max_length=12, verbose_name='kind')),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True, verbose_name='anonymous visitor')),
                ('turn', models.PositiveSmallIntegerField(help_text='Counted from 1.', verbose_name='turn')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('generation_a', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comparisons_as_a', to='playground.generation')),
                ('generation_b', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comparisons_as_b', to='playground.generation')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to=settings.AUTH_USER_MODEL)),
                ('contest', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to='arena.contest')),
            ],
            options={
                'verbose_name': 'comparison',
                'verbose_name_plural': 'comparisons',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['owner', '-created_at'], name='comparison_of_owner'), models.Index(fields=['visitor', '-created_at'], name='comparison_of_visitor')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='comparison_has_one_owner'), models.CheckConstraint(condition=models.Q(('generation_a', models.F('generation_b')), _negated=True), name='comparison_of_two'), models.UniqueConstraint(fields=('generation_a', 'generation_b'), name='comparison_pair_unique'), models.UniqueConstraint(condition=models.Q(('kind', 'battle')), fields=('contest',), name='comparison_one_per_battle')],
            },
        ),
        migrations.CreateModel(
            name='Reply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('turn', models.PositiveSmallIntegerField(help_text='Counted from 1.', verbose_name='turn')),
                ('contender', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='replies', to='arena.contender')),
                ('generation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='reply', to='playground.generation')),
            ],
            options={
                'verbose_name': 'reply',
                'verbose_name_plural': 'replies',
                'ordering': ['turn', 'contender__position'],
                'constraints': [models.UniqueConstraint(fields=('contender', 'turn'), name='reply_one_per_turn')],
            },
        ),
        migrations.CreateModel(
            name='Vote',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('side_by_side', 'Side by side'), ('battle', 'Battle')], max_length=12, verbose_name='kind')),
                ('outcome', models.CharField(choices=[('a', 'A is better'), ('b', 'B is better'), ('tie', 'Equally good'), ('both_bad', 'Both are bad')], max_length=10, verbose_name='outcome')),
                ('reasons', models.JSONField(blank=True, default=list, verbose_name='reasons')),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True, verbose_name='anonymous visitor')),
                ('network_digest', models.CharField(blank=True, editable=False, max_length=20)),
                ('turns', models.PositiveSmallIntegerField(default=1, verbose_name='turns read')),
                ('language', models.CharField(default='und', max_length=3, verbose_name='language')),
                ('category', models.CharField(choices=[('code', 'Code'), ('maths', 'Maths'), ('writing', 'Writing'), ('other', 'Other')], default='other', max_length=10, verbose_name='category')),
                ('hardness', models.PositiveSmallIntegerField(default=0, verbose_name='hardness')),
                ('style_a', models.JSONField(default=dict, verbose_name='style of A')),
                ('style_b', models.JSONField(default=dict, verbose_name='style of B')),
                ('prompt_digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('void_reason', models.CharField(blank=True, choices=[('identity_asked', 'The prompt asks who answers'), ('name_in_answer', 'An answer gave a name away'), ('operator', 'Taken out by an operator')], max_length=20, verbose_name='not ranked because')),
                ('review_state', models.CharField(choices=[('unreviewed', 'Not reviewed yet'), ('in_review', 'In review'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('needs_information', 'Needs information from you'), ('escalated', 'Looked at again')], default='unreviewed', max_length=20, verbose_name='review')),
                ('review_reason', models.CharField(blank=True, editable=False, max_length=500, verbose_name='reason for the voter')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='changed')),
                ('withdrawn_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='withdrawn')),
                ('comparison', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='vote', to='arena.comparison')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='votes', to=settings.AUTH_USER_MODEL, verbose_name='voter')),
                ('pool', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='votes', to='arena.pool')),
                ('variant_a', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='votes_as_a', to='catalog.variant')),
                ('variant_b', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='votes_as_b', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'vote',
                'verbose_name_plural': 'votes',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['pool', 'created_at'], name='vote_in_pool'), models.Index(fields=['created_at', 'id'], name='vote_created'), models.Index(fields=['changed_at'], name='vote_changed'), models.Index(fields=['owner', '-created_at'], name='vote_of_owner'), models.Index(fields=['visitor', '-created_at'], name='vote_of_visitor'), models.Index(fields=['prompt_digest', 'variant_a', 'variant_b'], name='vote_on_prompt'), models.Index(fields=['network_digest', 'created_at'], name='vote_of_network')],
                'constraints': [models.CheckConstraint(condition=models.Q(('owner__isnull', False), ('visitor__isnull', False), _negated=True), name='vote_one_kind_of_voter'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'battle'), ('pool__isnull', False)), models.Q(('kind', 'side_by_side'), ('pool__isnull', True)), _connector='OR'), name='vote_battle_has_pool')],
            },
        ),
    ]
