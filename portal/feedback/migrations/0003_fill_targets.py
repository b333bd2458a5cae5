"""Judgements given before there were other targets: what each is about, and which questionnaire asked."""

from django.db import migrations
from django.db.models import F, OuterRef, Subquery


def fill_targets(apps, schema_editor):
    Generation = apps.get_model("playground", "Generation")
    Questionnaire = apps.get_model("feedback", "Questionnaire")
    Submission = apps.get_model("feedback", "Submission")
    Questionnaire.objects.filter(published_at=None).update(published_at=F("created_at"))
    Questionnaire.objects.filter(slug="answer-quality").update(on_answers=True)
    run = Generation.objects.filter(pk=OuterRef("generation_id"))
    form = Questionnaire.objects.filter(pk=OuterRef("questionnaire_id"))
    Submission.objects.filter(questionnaire_slug="").update(
        variant_id=Subquery(run.values("variant_id")),
        card_id=Subquery(run.values("variant__card_id")),
        questionnaire_slug=Subquery(form.values("slug")),
    )


class Migration(migrations.Migration):

    dependencies = [
        ("feedback", "0002_targets_terms_review"),
    ]

    operations = [
        migrations.RunPython(fill_targets, migrations.RunPython.noop, elidable=True),
    ]
