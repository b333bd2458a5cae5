"""Addresses of the accounts app; allauth's follow them under the same /accounts/."""

from django.urls import path

from portal.accounts import views

app_name = "accounts"
urlpatterns = [
    # Before allauth's own view of this address, which `account_signup` names.
    path("signup/", views.SignUpView.as_view()),
    path("profile/", views.profile, name="profile"),
    path("profile/delete/", views.account_delete, name="delete"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
]
