"""Notices from before they named their item: the address of a submission says which it was; a vote's does not."""

import re
import uuid

from django.db import migrations

_OF_A_SUBMISSION = re.compile(r'/contributions/([0-9a-f-]{36})/$')
_AT_ONCE = 1_000


def fill_items(apps, schema_editor):
    notices = apps.get_model('reviews', 'Notice').objects.filter(item=None, url__contains='/contributions/')
    items = apps.get_model('reviews', 'ReviewItem').objects
    last = 0
    while rows := list(notices.filter(pk__gt=last).order_by('pk')[:_AT_ONCE]):
        last = rows[-1].pk
        found = {row.pk: uuid.UUID(match[1]) for row in rows if (match := _OF_A_SUBMISSION.search(row.url))}
        item_of = dict(items.filter(submission__in=set(found.values())).values_list('submission', 'pk'))
        for row in rows:
            row.item_id = item_of.get(found.get(row.pk))
        notices.model.objects.bulk_update([row for row in rows if row.item_id], ['item'])


class Migration(migrations.Migration):
    dependencies = [('reviews', '0003_notices_name_their_item')]
    operations = [migrations.RunPython(fill_items, migrations.RunPython.noop, elidable=True)]
