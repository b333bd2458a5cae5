"""Held-out prompts: typed once, kept as digests."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.exports.models import HeldOutPrompt, prompt_digest


class HeldOutPromptForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes the prompt and keeps its digest."""

    prompt = forms.CharField(
        label=_("Prompt"),
        widget=forms.Textarea,
        max_length=100_000,
        help_text=_("It is not kept, only its digest. Case and spaces do not matter."),
    )

    class Meta:
        model = HeldOutPrompt
        fields = ("note",)

    def clean_prompt(self) -> str:
        digest = prompt_digest(self.cleaned_data["prompt"])
        if HeldOutPrompt.objects.filter(digest=digest).exists():
            raise ValidationError(_("This prompt is held out already."))
        self.instance.digest = digest
        return digest


@admin.register(HeldOutPrompt)
class HeldOutPromptAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Add and delete; a digest is not changed."""

    form = HeldOutPromptForm
    list_display = ("digest", "note", "author", "created_at")
    search_fields = ("digest", "note")
    list_select_related = ("author",)
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: HeldOutPrompt | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: HeldOutPrompt, form: Any, change: bool) -> None:
        assert isinstance(request.user, User)
        obj.author = request.user
        super().save_model(request, obj, form, change)

    def get_queryset(self, request: HttpRequest) -> QuerySet[HeldOutPrompt]:
        return super().get_queryset(request).select_related("author")
