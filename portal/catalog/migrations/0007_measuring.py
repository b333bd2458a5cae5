from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0006_card_pictures'),
    ]

    operations = [
        migrations.AlterField(
            model_name='weightreading',
            name='kind',
            field=models.CharField(choices=[('tensor', "One tensor's values"), ('comparison', 'What differs between two variants'), ('measuring', "A variant's speed and quality here")], max_length=10),
        ),
    ]
