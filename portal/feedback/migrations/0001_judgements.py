# What its predecessors made step by step, at once and in half the time. Installations that have those keep them.
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('feedback', '0001_initial'), ('feedback', '0002_targets_terms_review'), ('feedback', '0003_fill_targets'), ('feedback', '0004_one_target_each'), ('feedback', '0005_submissions_of_a_network')]

    initial = True

    dependencies = [
        ('accounts', '__first__'),
        ('arena', '0001_arena'),
        ('catalog', '0001_cards'),
        ('playground', '0001_conversations'),
    ]

    operations = [
        migrations.CreateModel(
            name='Questionnaire',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=80, verbose_name='name')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='version')),
                ('revision', models.PositiveIntegerField(default=1, editable=False, verbose_name='revision of the draft')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('intro', models.TextField(blank=True, help_text='Markdown.', verbose_name='introduction')),
                ('language', models.CharField(default='en', max_length=12, verbose_name='language')),
                ('translations', models.JSONField(blank=True, default=dict, verbose_name='translations')),
                ('on_answers', models.BooleanField(default=False, verbose_name='asked about answers')),
                ('on_comparisons', models.BooleanField(default=False, verbose_name='asked about comparisons')),
                ('on_cards', models.BooleanField(default=False, verbose_name='asked about cards')),
                ('is_current', models.BooleanField(default=False, verbose_name='current')),
                ('published_at', models.DateTimeField(blank=True, null=True, verbose_name='published')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'questionnaire',
                'verbose_name_plural': 'questionnaires',
                'ordering': ['slug', '-version'],
                'constraints': [models.UniqueConstraint(fields=('slug', 'version'), name='questionnaire_version_unique'), models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('slug',), name='questionnaire_one_current'), models.UniqueConstraint(condition=models.Q(('published_at__isnull', True)), fields=('slug',), name='questionnaire_one_draft'), models.CheckConstraint(condition=models.Q(('is_current', False), ('published_at__isnull', False), _connector='OR'), name='questionnaire_current_is_published')],
            },
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(max_length=60, verbose_name='key')),
                ('kind', models.CharField(choices=[('thumb', 'Thumb'), ('yes_no', 'Yes or no'), ('rating', 'Rating'), ('choice', 'One of several'), ('choices', 'Multiple choice'), ('ranking', 'Ranking'), ('text', 'Free text'), ('number', 'Number'), ('date', 'Date'), ('spans', 'Marks on the answer'), ('correction', 'Corrected answer'), ('token', 'Better token'), ('matrix', 'Matrix')], max_length=20, verbose_name='kind')),
                ('label', models.CharField(max_length=200, verbose_name='label')),
                ('help', models.TextField(blank=True, help_text='Markdown, shown under the label.', verbose_name='help')),
                ('options', models.JSONField(blank=True, default=dict, verbose_name='options')),
                ('show_if', models.JSONField(blank=True, default=dict, verbose_name='shown if')),
                ('is_required', models.BooleanField(default=False, verbose_name='required')),
                ('position', models.PositiveSmallIntegerField(default=0, verbose_name='position')),
                ('translations', models.JSONField(blank=True, default=dict, verbose_name='translations')),
                ('questionnaire', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='questions', to='feedback.questionnaire')),
            ],
            options={
                'verbose_name': 'question',
                'verbose_name_plural': 'questions',
                'ordering': ['position', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('questionnaire', 'key'), name='question_key_unique')],
            },
        ),
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=80, unique=True, verbose_name='name')),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('summary', models.CharField(blank=True, max_length=300, verbose_name='summary')),
                ('appeal', models.TextField(blank=True, help_text='Markdown: what you ask for, and why.', verbose_name='appeal')),
                ('thanks', models.TextField(blank=True, help_text='Markdown: what happens next with the answers.', verbose_name='thanks')),
                ('opens_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='opens')),
                ('closes_at', models.DateTimeField(blank=True, null=True, verbose_name='deadline')),
                ('goal', models.PositiveIntegerField(blank=True, null=True, verbose_name='goal')),
                ('allows_anonymous', models.BooleanField(default=True, verbose_name='may be answered without an account')),
                ('is_once', models.BooleanField(default=True, verbose_name='one submission per person')),
                ('results_shown', models.CharField(choices=[('always', 'Everybody, at any time'), ('afterwards', 'Everybody, once it has ended'), ('never', 'Maintainers alone')], default='always', max_length=12, verbose_name='results are shown to')),
                ('is_published', models.BooleanField(default=False, verbose_name='published')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('author', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('questionnaire', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='campaigns', to='feedback.questionnaire')),
            ],
            options={
                'verbose_name': 'campaign',
                'verbose_name_plural': 'campaigns',
                'ordering': ['-opens_at', '-pk'],
                'constraints': [models.CheckConstraint(condition=models.Q(('closes_at__isnull', True), ('closes_at__gt', models.F('opens_at')), _connector='OR'), name='campaign_closes_after_opening'), models.CheckConstraint(condition=models.Q(('goal__isnull', True), ('goal__gt', 0), _connector='OR'), name='campaign_goal_is_positive')],
            },
        ),
        migrations.CreateModel(
            name='Submission',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('target', models.CharField(choices=[('generation', 'Answer'), ('comparison', 'Comparison'), ('card', 'Card'), ('campaign', 'Campaign')], default='generation', max_length=12, verbose_name='target')),
                ('questionnaire_slug', models.SlugField(db_index=False, max_length=80, verbose_name='name of the questionnaire')),
                ('is_only', models.BooleanField(default=True, verbose_name='the only one of its contributor')),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True, verbose_name='anonymous visitor')),
                ('network_digest', models.CharField(blank=True, editable=False, max_length=20)),
                ('consent', models.CharField(choices=[('review', 'For the reviewers here alone'), ('publish', 'Published in data sets, under a pseudonym'), ('quote', 'Published, and quoted in words on results pages')], default='publish', max_length=8, verbose_name='consent')),
                ('licence', models.CharField(blank=True, max_length=60, verbose_name='licence')),
                ('language', models.CharField(blank=True, max_length=12, verbose_name='language')),
                ('shown', models.JSONField(default=dict, verbose_name='what was shown')),
                ('text_digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('review_state', models.CharField(choices=[('unreviewed', 'Not reviewed yet'), ('in_review', 'In review'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('duplicate', 'Duplicate'), ('spam', 'Spam'), ('needs_information', 'Needs information from you'), ('escalated', 'Looked at again')], default='unreviewed', editable=False, max_length=20, verbose_name='review')),
                ('review_reason', models.CharField(blank=True, editable=False, max_length=500, verbose_name='reason for the contributor')),
                ('review_changed_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='review changed')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='version')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created')),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='changed')),
                ('withdrawn_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='withdrawn')),
                ('campaign', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='submissions', to='feedback.campaign')),
                ('card', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='catalog.modelcard')),
                ('comparison', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='arena.comparison')),
                ('generation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='submissions', to='playground.generation')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='submissions', to=settings.AUTH_USER_MODEL, verbose_name='contributor')),
                ('questionnaire', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='submissions', to='feedback.questionnaire')),
                ('variant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='submissions', to='catalog.variant')),
            ],
            options={
                'verbose_name': 'submission',
                'verbose_name_plural': 'submissions',
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(fields=['created_at', 'id'], name='submission_created'), models.Index(fields=['owner', '-changed_at', '-id'], name='submission_of_owner'), models.Index(fields=['visitor', '-changed_at', '-id'], name='submission_of_visitor'), models.Index(fields=['review_state', 'created_at', 'id'], name='submission_in_review_state'), models.Index(fields=['card', 'created_at', 'id'], name='submission_about_card'), models.Index(fields=['questionnaire_slug', 'created_at', 'id'], name='submission_of_questionnaire'), models.Index(fields=['network_digest', 'created_at'], name='submission_of_network'), models.Index(condition=models.Q(('text_digest', ''), _negated=True), fields=['text_digest'], name='submission_text_digest')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('campaign__isnull', True), ('comparison__isnull', True), ('generation__isnull', False), ('target', 'generation')), models.Q(('campaign__isnull', True), ('comparison__isnull', False), ('generation__isnull', True), ('target', 'comparison')), models.Q(('campaign__isnull', True), ('card__isnull', False), ('comparison__isnull', True), ('generation__isnull', True), ('target', 'card')), models.Q(('campaign__isnull', False), ('comparison__isnull', True), ('generation__isnull', True), ('target', 'campaign')), _connector='OR'), name='submission_one_target'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'generation')), fields=('generation', 'questionnaire_slug', 'owner'), name='submission_one_per_generation_and_owner'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'generation'), ('visitor__isnull', False)), fields=('generation', 'questionnaire_slug', 'visitor'), name='submission_one_per_generation_and_visitor'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'comparison')), fields=('comparison', 'questionnaire_slug', 'owner'), name='submission_one_per_comparison_and_owner'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'comparison'), ('visitor__isnull', False)), fields=('comparison', 'questionnaire_slug', 'visitor'), name='submission_one_per_comparison_and_visitor'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'card')), fields=('card', 'questionnaire_slug', 'owner'), name='submission_one_per_card_and_owner'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'card'), ('visitor__isnull', False)), fields=('card', 'questionnaire_slug', 'visitor'), name='submission_one_per_card_and_visitor'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'campaign')), fields=('campaign', 'questionnaire_slug', 'owner'), name='submission_one_per_campaign_and_owner'), models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'campaign'), ('visitor__isnull', False)), fields=('campaign', 'questionnaire_slug', 'visitor'), name='submission_one_per_campaign_and_visitor'), models.CheckConstraint(condition=models.Q(('owner__isnull', False), ('visitor__isnull', False), _negated=True), name='submission_one_kind_of_owner')],
            },
        ),
        migrations.CreateModel(
            name='CampaignDraft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('visitor', models.UUIDField(blank=True, editable=False, null=True)),
                ('values', models.JSONField(default=dict, verbose_name='answers so far')),
                ('saved_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='saved')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drafts', to='feedback.campaign')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='campaign_drafts', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'draft of an answer',
                'verbose_name_plural': 'drafts of answers',
                'constraints': [models.UniqueConstraint(condition=models.Q(('owner__isnull', False)), fields=('campaign', 'owner'), name='campaign_draft_one_per_user'), models.UniqueConstraint(condition=models.Q(('visitor__isnull', False)), fields=('campaign', 'visitor'), name='campaign_draft_one_per_visitor'), models.CheckConstraint(condition=models.Q(models.Q(('owner__isnull', False), ('visitor__isnull', True)), models.Q(('owner__isnull', True), ('visitor__isnull', False)), _connector='OR'), name='campaign_draft_has_one_owner')],
            },
        ),
        migrations.CreateModel(
            name='Answer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.IntegerField(blank=True, null=True, verbose_name='number')),
                ('choice', models.CharField(blank=True, max_length=60, verbose_name='choice')),
                ('text', models.TextField(blank=True, verbose_name='text')),
                ('decimal', models.DecimalField(blank=True, decimal_places=6, max_digits=20, null=True, verbose_name='decimal number')),
                ('date', models.DateField(blank=True, null=True, verbose_name='date')),
                ('data', models.JSONField(blank=True, null=True, verbose_name='structured value')),
                ('question', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='answers', to='feedback.question')),
                ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='answers', to='feedback.submission')),
            ],
            options={
                'verbose_name': 'answer',
                'verbose_name_plural': 'answers',
                'ordering': ['question__position', 'question__pk'],
                'indexes': [models.Index(fields=['question', 'number', 'submission'], name='answer_number'), models.Index(fields=['question', 'choice', 'submission'], name='answer_choice')],
                'constraints': [models.UniqueConstraint(fields=('submission', 'question'), name='answer_one_per_question')],
            },
        ),
        migrations.CreateModel(
            name='ChosenQuote',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('chosen_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='chosen')),
                ('answer', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='quote', to='feedback.answer')),
                ('campaign', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quotes', to='feedback.campaign')),
                ('chosen_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'chosen quote',
                'verbose_name_plural': 'chosen quotes',
                'ordering': ['chosen_at', 'pk'],
            },
        ),
    ]
