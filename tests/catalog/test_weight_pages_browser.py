"""Facts, code to copy, values and differences of weights, and imports in a real Chromium: a journey, and looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer
from safetensors.numpy import save_file

from portal.accounts.models import User
from portal.catalog import job_dispatch
from portal.catalog.job_models import Import, JobState, WeightReading
from portal.catalog.job_tasks import read_weights, run_import
from tests.catalog.shelf import CARD_TEXT, CONFIG, write_adapter, write_weights
from tests.conftest import signed_in
from tests.services.accessibility import fits, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def expect_accessible(page: Page) -> None:
    assert violations(page) == []
    assert fits(page)


SESSION = "sessionid"


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of 12 layers below the folder that is open for imports, and an adapter for it; no broker."""
    settings.STEELYARD_HOME = tmp_path / "home"
    settings.IMPORT_FOLDER = str(tmp_path / "opened")
    settings.IMPORT_SOURCES = ["hub", "upstream", "folder"]
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    folder = write_weights(tmp_path / "opened" / "tiny", num_hidden_layers=12)
    (folder / "README.md").write_text(CARD_TEXT.replace("Intro with", "It has 7 billion parameters. Intro with"))
    generator = np.random.default_rng(1)
    layers = {f"model.layers.{n}.self_attn.q_proj.weight": generator.normal(size=(8, 8)) for n in range(12)}
    tensors = {"model.embed_tokens.weight": generator.normal(size=(CONFIG["vocab_size"], 8)), **layers}
    save_file({name: values.astype(np.float32) for name, values in tensors.items()}, folder / "model.safetensors")
    return tmp_path


def sign_in(tab: Page, live_server: LiveServer, user: User) -> None:
    session = signed_in(user).cookies[SESSION].value
    tab.context.add_cookies([{"name": SESSION, "value": session, "url": live_server.url}])


def test_a_maintainer_imports_and_looks_inside(
    tab: Page, live_server: LiveServer, maintainer: User, shelf: Path
) -> None:
    sign_in(tab, live_server, maintainer)
    tab.goto(live_server.url)
    tab.get_by_role("link", name="Import a model").click()
    tab.get_by_label("Folder").check()
    tab.get_by_label("Source").fill("tiny")
    tab.get_by_label("Card optional").fill("acme/tiny")
    tab.get_by_role("button", name="Import").click()
    expect(tab.get_by_text("Waiting for a worker.")).to_be_visible()
    expect_accessible(tab)
    run_import(Import.objects.get().pk)
    # The page finds out by itself.
    tab.get_by_role("link", name="acme/tiny:f32").click()
    call_command(
        "import_model", str(write_adapter(shelf / "pirate", module="model.layers.7.self_attn.q_proj")), "--json"
    )
    tab.get_by_role("link", name="All facts").first.click()
    expect(tab.get_by_role("row", name="7 billion parameters")).to_be_visible()
    tab.get_by_label("Tokens of context").fill("1000")
    tab.get_by_role("button", name="Compute").click()
    expect(tab.get_by_text("1,000 tokens")).to_be_visible()
    tab.get_by_role("link", name="Inside the weights").click()
    tab.get_by_role("link", name="As a list").click()
    tab.get_by_role("link", name="model.layers.3.self_attn.q_proj.weight").click()
    tab.get_by_role("button", name="Read the values").click()
    expect(tab.get_by_text("Waiting for a worker.")).to_be_visible()
    read_weights(WeightReading.objects.get().pk)
    expect(tab.get_by_text("Standard deviation")).to_be_visible()
    tab.goto(f"{live_server.url}/models/acme/tiny/f32/differences/")
    tab.get_by_role("button", name="Choose").click()
    tab.get_by_role("button", name="Compare the weights").click()
    expect(tab.get_by_text("Waiting for a worker.")).to_be_visible()
    read_weights(WeightReading.objects.get(kind="comparison").pk)
    expect(tab.get_by_role("row", name="model.layers.7.self_attn.q_proj.weight")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_the_pages_are_accessible_and_fit(
    tab: Page, live_server: LiveServer, maintainer: User, shelf: Path, width: int, theme: str
) -> None:
    call_command("import_model", str(shelf / "opened" / "tiny"), "--name", "acme/tiny", "--json")
    call_command(
        "import_model", str(write_adapter(shelf / "pirate", module="model.layers.7.self_attn.q_proj")), "--json"
    )
    for state in JobState:
        Import.objects.create(
            source=f"hub:acme/{state}-{'long-' * 20}",
            requested_by=maintainer,
            state=state,
            stage="downloading",
            done=3,
            total=10**9,
            error="The hub has no such model." if state == JobState.FAILED else "",
            log=[["2026-01-01T10:00:00", "downloading"]],
        )
    sign_in(tab, live_server, maintainer)
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    signed = signed_in(maintainer)
    values = "/models/acme/tiny/f32/tensor/?name=model.layers.3.self_attn.q_proj.weight"
    differences = "/models/acme/tiny/f32/differences/?with=acme/tiny:pirate"
    for address in (values, differences):
        signed.post(address)
    for job in WeightReading.objects.all():
        read_weights(job.pk)
    imports = [job.get_absolute_url() for job in Import.objects.all()]
    pages = ("/models/acme/tiny/f32/facts/", "/models/acme/tiny/pirate/facts/", "/models/acme/tiny/f32/use/")
    for address in ("/imports/", *imports, *pages, values, differences):
        tab.goto(live_server.url + address)
        for summary in tab.locator("main summary").all():
            summary.click()
        expect_accessible(tab)
