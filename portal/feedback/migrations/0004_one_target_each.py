from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('feedback', '0003_fill_targets'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='questionnaire',
            constraint=models.UniqueConstraint(condition=models.Q(('published_at__isnull', True)), fields=('slug',), name='questionnaire_one_draft'),
        ),
        migrations.AddConstraint(
            model_name='questionnaire',
            constraint=models.CheckConstraint(condition=models.Q(('is_current', False), ('published_at__isnull', False), _connector='OR'), name='questionnaire_current_is_published'),
        ),
        migrations.AddIndex(
            model_name='submission',
            index=models.Index(fields=['review_state', 'created_at', 'id'], name='submission_in_review_state'),
        ),
        migrations.AddIndex(
            model_name='submission',
            index=models.Index(fields=['card', 'created_at', 'id'], name='submission_about_card'),
        ),
        migrations.AddIndex(
            model_name='submission',
            index=models.Index(fields=['questionnaire_slug', 'created_at', 'id'], name='submission_of_questionnaire'),
        ),
        migrations.AddIndex(
            model_name='submission',
            index=models.Index(condition=models.Q(('text_digest', ''), _negated=True), fields=['text_digest'], name='submission_text_digest'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('campaign__isnull', True), ('comparison__isnull', True), ('generation__isnull', False), ('target', 'generation')), models.Q(('campaign__isnull', True), ('comparison__isnull', False), ('generation__isnull', True), ('target', 'comparison')), models.Q(('campaign__isnull', True), ('card__isnull', False), ('comparison__isnull', True), ('generation__isnull', True), ('target', 'card')), models.Q(('campaign__isnull', False), ('comparison__isnull', True), ('generation__isnull', True), ('target', 'campaign')), _connector='OR'), name='submission_one_target'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'generation')), fields=('generation', 'questionnaire_slug', 'owner'), name='submission_one_per_generation_and_owner'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'generation'), ('visitor__isnull', False)), fields=('generation', 'questionnaire_slug', 'visitor'), name='submission_one_per_generation_and_visitor'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'comparison')), fields=('comparison', 'questionnaire_slug', 'owner'), name='submission_one_per_comparison_and_owner'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'comparison'), ('visitor__isnull', False)), fields=('comparison', 'questionnaire_slug', 'visitor'), name='submission_one_per_comparison_and_visitor'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'card')), fields=('card', 'questionnaire_slug', 'owner'), name='submission_one_per_card_and_owner'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'card'), ('visitor__isnull', False)), fields=('card', 'questionnaire_slug', 'visitor'), name='submission_one_per_card_and_visitor'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('owner__isnull', False), ('target', 'campaign')), fields=('campaign', 'questionnaire_slug', 'owner'), name='submission_one_per_campaign_and_owner'),
        ),
        migrations.AddConstraint(
            model_name='submission',
            constraint=models.UniqueConstraint(condition=models.Q(('is_only', True), ('target', 'campaign'), ('visitor__isnull', False)), fields=('campaign', 'questionnaire_slug', 'visitor'), name='submission_one_per_campaign_and_visitor'),
        ),
    ]
