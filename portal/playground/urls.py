"""Addresses of the playground app."""

from django.urls import path

from portal.playground import conversation_views, inside_views, library_views, settings_views, share_views, views
from portal.playground.events_view import events

app_name = "playground"
urlpatterns = [
    path("playground/", views.new, name="new"),
    path("playground/library/", library_views.library, name="library"),
    path("playground/settings/", settings_views.change_settings, name="settings"),
    path("playground/presets/", settings_views.presets, name="presets"),
    path("playground/presets/<uuid:preset_id>/", settings_views.change_preset, name="change_preset"),
    path("playground/presets/shared/<str:token>/", settings_views.shared_preset, name="shared_preset"),
    path("playground/s/<str:token>/", share_views.shared, name="shared"),
    path("playground/s/<str:token>/rerun/", share_views.rerun_link, name="rerun_link"),
    path("playground/context/", conversation_views.context_meter, name="context"),
    path("playground/conversations/", conversation_views.conversations, name="conversations"),
    path("playground/c/<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("playground/c/<uuid:conversation_id>/rename/", conversation_views.rename, name="rename"),
    path("playground/c/<uuid:conversation_id>/delete/", conversation_views.delete, name="delete"),
    path("playground/c/<uuid:conversation_id>/restore/", conversation_views.restore, name="restore"),
    path("playground/c/<uuid:conversation_id>/export/", share_views.export, name="export"),
    path("playground/c/<uuid:conversation_id>/share/", share_views.share_conversation, name="share_conversation"),
    path("playground/c/<uuid:conversation_id>/changes/", conversation_views.changes, name="changes"),
    path("playground/g/<uuid:generation_id>/", views.generation, name="generation"),
    path("playground/g/<uuid:generation_id>/events/", events, name="events"),
    path("playground/g/<uuid:generation_id>/cancel/", views.cancel, name="cancel"),
    path("playground/g/<uuid:generation_id>/retry/", views.retry, name="retry"),
    path("playground/g/<uuid:generation_id>/again/", views.again, name="again"),
    path("playground/g/<uuid:generation_id>/record/", share_views.record, name="record"),
    path("playground/g/<uuid:generation_id>/share/", share_views.share_run, name="share_run"),
    path("playground/g/<uuid:generation_id>/rerun/", share_views.rerun, name="rerun"),
    path("playground/g/<uuid:generation_id>/inside/", inside_views.inside, name="inside"),
    path("playground/g/<uuid:generation_id>/branch/", inside_views.branch, name="branch"),
]
