from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0001_idempotency_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="idempotencykey",
            name="waiting",
            field=models.JSONField(default=list),
        ),
    ]
