"""The compose file and the Dockerfile, read as data: nothing here needs a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from portal.operations.programs import commands
from tests.services.installation import ROOT

OURS = {"setup", "web", "worker", "beat"}
DATA = {"postgres", "valkey"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def test_the_services_are_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == OURS | DATA | {"vllm"}
    assert compose["services"]["vllm"]["profiles"] == ["vllm"]
    for name in OURS | DATA:
        assert "profiles" not in compose["services"][name]


def test_every_lasting_service_has_a_health_check_restarts_and_an_init(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["init"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name == "setup":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name


def test_what_is_published_is_bound_to_loopback_and_data_services_publish_nothing(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    for name in DATA:
        assert "ports" not in compose["services"][name]
        assert compose["services"][name]["networks"] == ["data"]
        assert compose["services"][name]["volumes"]
    assert compose["networks"]["data"]["internal"] is True


def test_every_named_volume_and_network_is_declared(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"]), name


def test_ours_write_nothing_but_their_volume_and_wait_for_setup(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["environment"]["STEELYARD_ENV"] == "production"
        waits = service["depends_on"]
        assert {waits[data]["condition"] for data in DATA} == {"service_healthy"}
        if name != "setup":
            assert waits["setup"]["condition"] == "service_completed_successfully"


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("SECRET_KEY", "POSTGRES_PASSWORD", "ALLOWED_HOSTS"):
        uses = re.findall(rf"\$\{{{secret}[^}}]*\}}", text)
        assert uses
        assert all(use.startswith(f"${{{secret}:?Set {secret} in .env") for use in uses)


def test_the_commands_are_ones_that_exist(compose: dict[str, Any]) -> None:
    known = get_commands()
    texts = [
        part
        for name in OURS
        for line in (
            compose["services"][name]["command"],
            compose["services"][name].get("healthcheck", {}).get("test", []),
        )
        for part in (" ".join(line)).split("&&")
    ]
    called = [match.groups() for text in texts if (match := re.search(r"manage\.py (\w+) ?(\w*)", text))]
    assert {name for name, _ in called} == {"prepare_weights", "migrate", "seed_demo", "run", "worker_alive"}
    for name, argument in called:
        load_command_class(known[name], name)
        if name == "run":
            assert argument in commands()


def test_the_image_runs_as_nobody_special_and_has_what_it_copies() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert dockerfile.index("USER steelyard") < dockerfile.index("CMD")
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        Path(source)
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert {str(path) for path in copied} == allowed
    assert all((ROOT / path).exists() for path in copied)
