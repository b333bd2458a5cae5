from django.db import migrations

from portal.reviews.migrations._append_only import allow_changes, refuse_changes


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_review_database")]

    operations = [migrations.RunPython(refuse_changes, allow_changes, elidable=False)]
