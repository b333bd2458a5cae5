# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import portal.reviews.migrations._append_only
import portal.reviews.models.notices
import uuid
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('reviews', '0001_review_database'), ('reviews', '0002_history_is_append_only'), ('reviews', '0003_counts_of_a_card'), ('reviews', '0004_mailed_notices'), ('reviews', '0005_votes_in_the_queue'), ('reviews', '0006_blocks_of_networks')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
        ('arena', '0001_arena'),
        ('catalog', '0001_cards'),
        ('feedback', '0001_judgements'),
        ('playground', '0001_conversations'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='day')),
                ('flow', models.CharField(choices=[('entered', 'Entered'), ('accept', 'Accepted'), ('reject', 'Rejected'), ('duplicate', 'Duplicate'), ('spam', 'Spam')], max_length=12, verbose_name='what')),
                ('card', models.BigIntegerField(default=0, verbose_name='card')),
                ('variant', models.BigIntegerField(default=0, verbose_name='variant')),
                ('language', models.CharField(blank=True, max_length=12, verbose_name='language')),
                ('questionnaire', models.CharField(blank=True, max_length=80, verbose_name='questionnaire')),
                ('campaign', models.CharField(blank=True, max_length=40, verbose_name='campaign')),
                ('reason', models.CharField(blank=True, max_length=20, verbose_name='reason')),
                ('hours_class', models.PositiveSmallIntegerField(default=0, verbose_name='time to the verdict')),
                ('count', models.IntegerField(default=0, verbose_name='count')),
            ],
            options={
                'verbose_name': 'daily count',
                'verbose_name_plural': 'daily counts',
                'indexes': [models.Index(fields=['card', 'day'], name='daily_count_of_card')],
                'constraints': [models.UniqueConstraint(fields=('day', 'flow', 'card', 'variant', 'language', 'questionnaire', 'campaign', 'reason', 'hours_class'), name='daily_count_key')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='when')),
                ('actor_id', models.BigIntegerField(editable=False, null=True, verbose_name='account')),
                ('target', models.CharField(editable=False, max_length=60, verbose_name='kind of thing')),
                ('target_id', models.CharField(editable=False, max_length=40, verbose_name='which')),
                ('action', models.CharField(editable=False, max_length=40, verbose_name='what happened')),
                ('changes', models.JSONField(default=dict, editable=False, verbose_name='what changed')),
                ('request_id', models.CharField(blank=True, editable=False, max_length=64, verbose_name='request')),
            ],
            options={
                'verbose_name': 'history entry',
                'verbose_name_plural': 'history',
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['target', 'target_id', '-at', '-id'], name='event_of_target'), models.Index(fields=['-at', '-id'], name='event_newest'), models.Index(fields=['actor_id', '-at', '-id'], name='event_of_actor'), models.Index(fields=['action', '-at', '-id'], name='event_of_action')],
            },
        ),
        migrations.CreateModel(
            name='Limitation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=160, verbose_name='title')),
                ('description', models.TextField(blank=True, max_length=4000, verbose_name='description')),
                ('severity', models.CharField(choices=[('low', 'Low'), ('medium', 'Medium'), ('high', 'High'), ('critical', 'Critical')], default='medium', max_length=10, verbose_name='severity')),
                ('state', models.CharField(choices=[('open', 'Open'), ('confirmed', 'Confirmed'), ('mitigated', 'Mitigated'), ('wont-fix', "Won't be fixed")], default='open', max_length=10, verbose_name='state')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='version')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='changed')),
                ('card', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='limitations', to='catalog.modelcard')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('mitigated_in', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='catalog.variant', verbose_name='mitigated in')),
            ],
            options={
                'verbose_name': 'known limitation',
                'verbose_name_plural': 'known limitations',
                'ordering': ['-changed_at', '-id'],
                'indexes': [models.Index(fields=['card', '-changed_at', '-id'], name='limitation_of_card')],
            },
        ),
        migrations.CreateModel(
            name='NoMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(auto_now_add=True, verbose_name='since')),
                ('owner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='no_review_mail', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'person without mail',
                'verbose_name_plural': 'people without mail',
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('claimed', 'Being sent'), ('sent', 'Sent'), ('dropped', 'Not sent')], default='queued', max_length=8, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent')),
                ('text', models.CharField(max_length=300, verbose_name='text')),
                ('url', models.CharField(max_length=300, verbose_name='address')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='written')),
                ('read_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='read')),
                ('due_at', models.DateTimeField(default=portal.reviews.models.notices.after_gathering, verbose_name='due')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='review_notices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['owner', '-created_at', '-id'], name='notice_of_person'), models.Index(condition=models.Q(('state', 'queued')), fields=['due_at'], name='notice_due')],
            },
        ),
        migrations.CreateModel(
            name='QueuePolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField(unique=True, verbose_name='version')),
                ('is_current', models.BooleanField(default=True, verbose_name='current')),
                ('enter_all', models.BooleanField(default=True, verbose_name='everything enters')),
                ('sample_percent', models.DecimalField(decimal_places=2, default=Decimal('0'), max_digits=5, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)], verbose_name='a sample enters, percent')),
                ('enter_flagged', models.BooleanField(default=True, help_text='A bad answer, a report of harm, error or bias, a correction, a void vote, or a sign of abuse.', verbose_name='what is flagged enters')),
                ('enter_disagreement', models.BooleanField(default=True, help_text="Two people judged the same answer, or two models' answers to one prompt, differently.", verbose_name='disagreement enters')),
                ('needed_reviews', models.PositiveSmallIntegerField(default=2, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(5)], verbose_name='independent reviewers per item')),
                ('lease_minutes', models.PositiveSmallIntegerField(default=15, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1440)], verbose_name='minutes until a claim expires')),
                ('gold_percent', models.PositiveSmallIntegerField(default=5, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)], verbose_name='gold items among the claims, percent')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'queue rules',
                'verbose_name_plural': 'queue rules',
                'ordering': ['-version'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('is_current',), name='policy_one_current')],
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, verbose_name='name')),
                ('query', models.CharField(blank=True, max_length=500, verbose_name='filters')),
                ('is_shared', models.BooleanField(default=False, verbose_name='for all reviewers')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_views', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'saved view',
                'verbose_name_plural': 'saved views',
                'ordering': ['name', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('owner', 'name'), name='saved_view_name_per_person')],
            },
        ),
        migrations.CreateModel(
            name='Block',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('visitor', models.UUIDField(blank=True, db_index=True, null=True, verbose_name='anonymous visitor')),
                ('network_digest', models.CharField(blank=True, db_index=True, max_length=20, null=True, verbose_name='network')),
                ('reason', models.CharField(max_length=200, verbose_name='reason')),
                ('until', models.DateTimeField(blank=True, null=True, verbose_name='until')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='since')),
                ('lifted_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='lifted')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='blocks', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'block',
                'verbose_name_plural': 'blocks',
                'ordering': ['-created_at', '-id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('network_digest__isnull', True), ('owner__isnull', False), ('visitor__isnull', True)), models.Q(('network_digest__isnull', True), ('owner__isnull', True), ('visitor__isnull', False)), models.Q(('network_digest__isnull', False), ('owner__isnull', True), ('visitor__isnull', True)), _connector='OR'), name='block_of_one_contributor')],
            },
        ),
        migrations.CreateModel(
            name='ContributorRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('visitor', models.UUIDField(blank=True, null=True, unique=True, verbose_name='anonymous visitor')),
                ('given', models.PositiveIntegerField(default=0, verbose_name='given')),
                ('accepted', models.IntegerField(default=0, verbose_name='accepted')),
                ('rejected', models.IntegerField(default=0, verbose_name='rejected')),
                ('duplicates', models.IntegerField(default=0, verbose_name='duplicates')),
                ('spam', models.IntegerField(default=0, verbose_name='spam')),
                ('last_given_at', models.DateTimeField(blank=True, null=True, verbose_name='last given')),
                ('owner', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='contributor_record', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'contributor',
                'verbose_name_plural': 'contributors',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='record_of_one_contributor')],
            },
        ),
        migrations.CreateModel(
            name='LimitationReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('added_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='added')),
                ('added_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('limitation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reports', to='reviews.limitation')),
                ('submission', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='limitation_report', to='feedback.submission')),
            ],
            options={
                'verbose_name': 'report',
                'verbose_name_plural': 'reports',
                'ordering': ['added_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='MeToo',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('visitor', models.UUIDField(blank=True, null=True, verbose_name='anonymous visitor')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='said')),
                ('limitation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='me_toos', to='reviews.limitation')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'me too',
                'verbose_name_plural': 'me toos',
                'constraints': [models.UniqueConstraint(condition=models.Q(('owner__isnull', False)), fields=('limitation', 'owner'), name='me_too_once_per_user'), models.UniqueConstraint(condition=models.Q(('visitor__isnull', False)), fields=('limitation', 'visitor'), name='me_too_once_per_visitor')],
            },
        ),
        migrations.CreateModel(
            name='Replay',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('rule', models.CharField(choices=[('exact', 'Its text is another'), ('phrase', 'A phrase is there no longer, or for the first time'), ('person', 'A person says so')], max_length=10, verbose_name='rule')),
                ('phrase', models.CharField(blank=True, max_length=200, verbose_name='phrase')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='asked')),
                ('asked_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('limitation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='replays', to='reviews.limitation')),
                ('variant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'replay',
                'verbose_name_plural': 'replays',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='ReproductionRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('added_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='added')),
                ('added_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('generation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='playground.generation')),
                ('limitation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reproductions', to='reviews.limitation')),
            ],
            options={
                'verbose_name': 'reproduction',
                'verbose_name_plural': 'reproductions',
                'ordering': ['added_at', 'id'],
                'constraints': [models.UniqueConstraint(fields=('limitation', 'generation'), name='reproduction_once_per_limitation')],
            },
        ),
        migrations.CreateModel(
            name='ReviewItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('entered_by', models.CharField(choices=[('all', 'Everything enters'), ('sample', 'Drawn into the sample'), ('flagged', 'Flagged'), ('disagreement', 'People disagree'), ('hand', 'Put in by hand')], max_length=20, verbose_name='entered by')),
                ('entered_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='entered')),
                ('needed', models.PositiveSmallIntegerField(default=2, verbose_name='reviewers needed')),
                ('priority', models.SmallIntegerField(default=0, verbose_name='priority')),
                ('state', models.CharField(choices=[('waiting', 'Waiting for reviewers'), ('question', 'Contributor was asked'), ('adjudication', 'Waiting for a decision'), ('decided', 'Decided'), ('quarantined', 'Quarantined'), ('withdrawn', 'Withdrawn')], default='waiting', max_length=12, verbose_name='state')),
                ('is_claimable', models.BooleanField(default=True, editable=False, verbose_name='can be claimed')),
                ('needs_maintainer', models.BooleanField(default=False, editable=False, verbose_name='escalated')),
                ('is_quarantined', models.BooleanField(default=False, editable=False, verbose_name='quarantined')),
                ('is_gold', models.BooleanField(default=False, editable=False, verbose_name='gold')),
                ('outcome', models.CharField(blank=True, choices=[('accept', 'Accept'), ('reject', 'Reject'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('question', 'Needs information'), ('escalate', 'Escalate')], max_length=12, verbose_name='outcome')),
                ('reason', models.CharField(blank=True, choices=[('unfounded', 'The answer does not bear it out'), ('unclear', 'Not understandable'), ('off-topic', 'About something else'), ('not-reproduced', 'Could not be reproduced'), ('expected', 'The model works as described'), ('personal-data', 'Holds personal data'), ('other', 'Another reason, see the note')], max_length=20, verbose_name='reason')),
                ('verdict_count', models.PositiveSmallIntegerField(default=0, verbose_name='verdicts')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('claimed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('claim_expires_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('claim_number', models.PositiveIntegerField(default=0, editable=False)),
                ('submission_version', models.PositiveIntegerField(default=1, verbose_name='version of the submission')),
                ('target_kind', models.CharField(blank=True, max_length=20, verbose_name='about')),
                ('questionnaire', models.CharField(blank=True, max_length=80, verbose_name='questionnaire')),
                ('language', models.CharField(blank=True, max_length=12, verbose_name='language')),
                ('thumb', models.CharField(blank=True, max_length=4, verbose_name='thumb')),
                ('signs', models.JSONField(blank=True, default=list, editable=False, verbose_name='signs of abuse')),
                ('is_suspicious', models.BooleanField(default=False, editable=False, verbose_name='shows signs of abuse')),
                ('campaign', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='feedback.campaign')),
                ('card', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='catalog.modelcard')),
                ('claimed_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('duplicate_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='duplicates', to='reviews.reviewitem', verbose_name='same as')),
                ('policy', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='reviews.queuepolicy')),
                ('submission', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='review_item', to='feedback.submission')),
                ('variant', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='catalog.variant')),
                ('vote', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='review_item', to='arena.vote')),
            ],
            options={
                'verbose_name': 'review item',
                'verbose_name_plural': 'review items',
                'ordering': ['-entered_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('is_claimable', True)), fields=['-priority', 'entered_at', 'id'], name='item_next_claim'), models.Index(condition=models.Q(('claimed_by__isnull', False)), fields=['claimed_by'], name='item_claimed_by'), models.Index(condition=models.Q(('is_gold', True)), fields=['id'], name='item_gold'), models.Index(fields=['-entered_at', '-id'], name='item_newest'), models.Index(fields=['state', '-entered_at', '-id'], name='item_of_state'), models.Index(fields=['outcome', '-entered_at', '-id'], name='item_of_outcome'), models.Index(fields=['card', 'state', '-entered_at', '-id'], name='item_of_card'), models.Index(fields=['variant', 'state', '-entered_at', '-id'], name='item_of_variant'), models.Index(fields=['language', 'state', '-entered_at', '-id'], name='item_of_language'), models.Index(fields=['questionnaire', 'state', '-entered_at', '-id'], name='item_of_questionnaire'), models.Index(fields=['campaign', 'state', '-entered_at', '-id'], name='item_of_campaign'), models.Index(condition=models.Q(('is_suspicious', True)), fields=['-entered_at', '-id'], name='item_suspicious'), models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['-decided_at'], name='item_decided'), models.Index(fields=['target_kind', 'state', '-entered_at', '-id'], name='item_of_target_kind')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('submission__isnull', False), ('vote__isnull', True)), models.Q(('submission__isnull', True), ('vote__isnull', False)), _connector='OR'), name='item_of_one_subject'), models.CheckConstraint(condition=models.Q(models.Q(('is_claimable', True), ('state__in', ('waiting', 'adjudication'))), models.Q(models.Q(('state__in', ('waiting', 'adjudication')), _negated=True), ('is_claimable', False)), _connector='OR'), name='item_claimable_by_state'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', False), ('state', 'decided'), models.Q(('outcome', ''), _negated=True)), models.Q(models.Q(('state', 'decided'), _negated=True), ('decided_at__isnull', True), ('outcome', '')), _connector='OR'), name='item_decided_has_outcome'), models.CheckConstraint(condition=models.Q(models.Q(('claim_expires_at__isnull', True), ('claimed_by__isnull', True)), ('claim_expires_at__isnull', False), _connector='OR'), name='item_claim_has_lease')],
            },
        ),
        migrations.CreateModel(
            name='ReplayRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('problem', models.CharField(blank=True, max_length=300, verbose_name='why it could not be asked')),
                ('judged', models.BooleanField(blank=True, null=True, verbose_name='flipped, says a person')),
                ('generation', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='playground.generation')),
                ('judged_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('original', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='playground.generation')),
                ('replay', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='reviews.replay')),
            ],
            options={
                'verbose_name': 'replayed run',
                'verbose_name_plural': 'replayed runs',
                'ordering': ['id'],
                'constraints': [models.UniqueConstraint(fields=('replay', 'original'), name='replay_run_once')],
            },
        ),
        migrations.CreateModel(
            name='Review',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('independent', 'Independent'), ('adjudication', 'Adjudication'), ('gold', 'On a gold item')], default='independent', max_length=12, verbose_name='kind')),
                ('verdict', models.CharField(choices=[('accept', 'Accept'), ('reject', 'Reject'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('question', 'Needs information'), ('escalate', 'Escalate')], max_length=12, verbose_name='verdict')),
                ('reason', models.CharField(blank=True, choices=[('unfounded', 'The answer does not bear it out'), ('unclear', 'Not understandable'), ('off-topic', 'About something else'), ('not-reproduced', 'Could not be reproduced'), ('expected', 'The model works as described'), ('personal-data', 'Holds personal data'), ('other', 'Another reason, see the note')], max_length=20, verbose_name='reason')),
                ('labels', models.JSONField(blank=True, default=list, verbose_name='labels')),
                ('answers', models.JSONField(blank=True, default=dict, verbose_name='own answers to the questionnaire')),
                ('note', models.TextField(blank=True, verbose_name='note')),
                ('submission_version', models.PositiveIntegerField(verbose_name='version of the submission')),
                ('claim_number', models.PositiveIntegerField(default=0, editable=False)),
                ('active_s', models.PositiveIntegerField(blank=True, null=True, verbose_name='seconds at work')),
                ('elapsed_s', models.PositiveIntegerField(blank=True, null=True, verbose_name='seconds from claim to verdict')),
                ('is_bulk', models.BooleanField(default=False, verbose_name='one of many at once')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='given')),
                ('superseded_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='no longer counts since')),
                ('superseded_by', models.CharField(blank=True, choices=[('undone', 'Undone by its reviewer'), ('edited', 'The contributor changed the submission'), ('answered', 'The contributor answered'), ('reopened', 'Reopened'), ('reverted', 'Reverted by an operator')], max_length=10, verbose_name='why it no longer counts')),
                ('reviewer', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='reviews_given', to=settings.AUTH_USER_MODEL)),
                ('duplicate_of', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='reviews.reviewitem')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reviews', to='reviews.reviewitem')),
            ],
            options={
                'verbose_name': 'verdict',
                'verbose_name_plural': 'verdicts',
                'ordering': ['created_at', 'id'],
                'indexes': [models.Index(fields=['reviewer', '-created_at', '-id'], name='review_of_person'), models.Index(fields=['-created_at', '-id'], name='review_newest')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('superseded_at__isnull', True)), fields=('item', 'reviewer'), name='review_one_live_per_person'), models.UniqueConstraint(condition=models.Q(('kind', 'adjudication'), ('superseded_at__isnull', True)), fields=('item',), name='review_one_live_adjudication'), models.CheckConstraint(condition=models.Q(models.Q(('superseded_at__isnull', True), ('superseded_by', '')), models.Q(models.Q(('superseded_by', ''), _negated=True), ('superseded_at__isnull', False)), _connector='OR'), name='review_superseded_for_a_reason')],
            },
        ),
        migrations.CreateModel(
            name='GoldItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('verdict', models.CharField(choices=[('accept', 'Accept'), ('reject', 'Reject'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('question', 'Needs information'), ('escalate', 'Escalate')], max_length=12, verbose_name='right verdict')),
                ('note', models.TextField(blank=True, verbose_name='why')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('item', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='gold', to='reviews.reviewitem')),
            ],
            options={
                'verbose_name': 'gold item',
                'verbose_name_plural': 'gold items',
            },
        ),
        migrations.CreateModel(
            name='TextBand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('value', models.BigIntegerField()),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='text_bands', to='reviews.reviewitem')),
            ],
            options={
                'verbose_name': 'text band',
                'verbose_name_plural': 'text bands',
                'indexes': [models.Index(fields=['value', 'item'], name='text_band_value')],
            },
        ),
        migrations.CreateModel(
            name='Inquiry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('question', models.TextField(verbose_name='question')),
                ('asked_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='asked')),
                ('answer', models.TextField(blank=True, verbose_name='answer')),
                ('answered_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='answered')),
                ('review', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='inquiry', to='reviews.review')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='inquiries', to='reviews.reviewitem')),
            ],
            options={
                'verbose_name': 'question to a contributor',
                'verbose_name_plural': 'questions to contributors',
                'ordering': ['asked_at', 'id'],
            },
        ),
        migrations.RunPython(
            code=portal.reviews.migrations._append_only.refuse_changes,
            reverse_code=portal.reviews.migrations._append_only.allow_changes,
        ),
    ]
