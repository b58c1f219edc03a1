"""The container files, checked as linters and `docker compose config` would, without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from junto.bootstrap.known import known_providers
from junto.settings.load import parse
from junto.settings.model import ServeOptions

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
OURS = ("migrate", "api", "worker")
READ_BY_JUNTO = {
    *("JUNTO_CONFIG", "JUNTO_DATA_DIR", "JUNTO_ADMIN_KEY", "JUNTO_SECRETS_KEY", "JUNTO_GIT_SHA"),
    *("DATABASE_URL", "REDIS_URL", "OLLAMA_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"),
    *(provider.key_variable for provider in known_providers().values() if provider.key_variable),
}
_USED = re.compile(r"\$\{([A-Z_]+)(:?[-?][^}]*)?\}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def images() -> list[str]:
    return [line.split(" AS ")[0] for line in of("FROM")] + [
        service["image"] for service in COMPOSE["services"].values() if "build" not in service
    ]


@pytest.mark.parametrize("image", images())
def test_images_have_a_version_and_no_host(image: str) -> None:
    """The host of a registry is the business of whoever builds."""
    name, colon, tag = image.partition(":")
    assert colon
    assert tag not in {"", "latest"}
    assert "." not in name.split("/")[0]


def test_what_is_installed_is_locked_by_hashes_and_runs_no_code() -> None:
    [install] = [line for line in of("RUN") if "pip install" in line]
    for option in ("--require-hashes", "--no-deps", "--only-binary :all:", "-r /tmp/run.txt"):
        assert option in install
    assert "requirements/run.txt /tmp/run.txt" in of("COPY")
    assert not of("ADD")
    assert not re.search(r"curl|wget|--index-url|--extra-index-url|https?://(?!127\.0\.0\.1)", DOCKERFILE)


def locked(file: str) -> dict[str, str]:
    """Each package of a lock file with its text but for markers: version and hashes."""
    entries = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", (ROOT / file).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    entries = [re.sub(r" ;.*?(?= \\\n)", "", entry, count=1) for entry in entries]
    return {re.split("==", entry)[0]: entry for entry in entries}


def needed(package: str, found: set[str]) -> set[str]:
    """A package and all that it needs here, extras aside."""
    name = re.sub(r"[-_.]+", "-", package).lower()
    if name not in found:
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, found)
    return found


def test_traces_speech_and_the_drivers_of_postgres_and_redis_are_in_the_image() -> None:
    """The extras `otel` and `speech` whole, of the very versions that the tests run with; Piper, which is GPL-3, is not."""
    run, everything = locked("requirements/run.txt"), locked("requirements/dev.txt")
    assert {"psycopg", "psycopg-binary", "redis", "taskiq-redis"} <= run.keys()
    extra = [Requirement(one) for one in metadata.requires("junto") or () if re.search(r"extra == .(otel|speech)", one)]
    assert len(extra) > 3
    for package in extra:
        assert needed(package.name, set()) <= run.keys()
    assert {name: everything[name] for name in run} == run


def test_prompts_and_seeds_are_where_the_configuration_of_the_image_looks_for_them() -> None:
    assert {"prompts /etc/junto/prompts", "seed /etc/junto/seed"} <= set(of("COPY"))
    assert parse("", {}, ServeOptions(), known_providers=known_providers()).prompts_dir == Path("prompts")


def test_junto_is_no_superuser_and_serves_as_another_login_than_it_migrates_as() -> None:
    services = COMPOSE["services"]
    logins = {name: services[name]["environment"]["DATABASE_URL"].split("/")[2].split(":")[0] for name in OURS}
    assert logins == {"migrate": "junto_owner", "api": "junto", "worker": "junto"}
    given = services["postgres"]["environment"]
    assert "POSTGRES_USER" not in given  # the superuser keeps its usual name
    script = (ROOT / "container" / "postgres" / "logins.sh").read_text("utf-8")
    for variable in ("DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD"):
        assert f"\\getenv {'owner_password' if 'OWNER' in variable else 'password'} {variable}" in script
        assert variable in given
    passwords = [given[name] for name in given]
    assert len(set(passwords)) == 3


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    assert len(of("FROM")) == 2
    [user] = of("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    order = [name for name, _ in instructions()]
    assert order.index("USER") > max(index for index, name in enumerate(order) if name == "RUN")


def test_packages_of_the_system_leave_nothing_behind() -> None:
    for line in of("RUN"):
        if "apt-get install" in line:
            assert "--no-install-recommends" in line
            assert "rm -rf /var/lib/apt/lists/*" in line


def test_commands_are_lists_so_that_signals_arrive() -> None:
    assert json.loads(of("ENTRYPOINT")[0]) == ["junto"]
    assert json.loads(of("CMD")[0]) == ["serve"]
    assert "/health/live" in of("HEALTHCHECK")[0]


def test_no_secret_is_part_of_the_image() -> None:
    """Not in its environment, not in its arguments."""
    told = " ".join([*of("ENV"), *of("ARG")])
    assert not re.search(r"KEY|SECRET|PASSWORD|TOKEN", told)


def test_what_the_image_is_made_of_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for line in of("COPY"):
        if "--from" in line:
            continue
        source = next(part for part in line.split() if not part.startswith("--"))
        assert (ROOT / source).exists()
        assert any(rule.startswith("!") and source.startswith(rule[1:].rstrip("/")) for rule in ignored)
    assert "*" in ignored


def test_the_configuration_of_the_image_is_sound_and_asks_for_keys() -> None:
    text = (ROOT / "container" / "junto.yaml").read_text("utf-8")
    settings = parse(text, {}, ServeOptions(), known_providers=known_providers())
    assert (settings.server.host, settings.auth.mode) == ("0.0.0.0", "keys")


def test_every_variable_of_the_example_is_used_and_every_used_one_is_in_it() -> None:
    """`GIT_SHA` is for whoever builds."""
    written = set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    used = {name for name, _ in _USED.findall((ROOT / "compose.yaml").read_text("utf-8"))}
    assert written == used - {"GIT_SHA"}


def test_every_variable_that_is_handed_to_junto_is_one_that_it_reads() -> None:
    for name in OURS:
        assert set(COMPOSE["services"][name]["environment"]) <= READ_BY_JUNTO


def test_secrets_must_be_set_and_none_has_a_default() -> None:
    for name, default in _USED.findall((ROOT / "compose.yaml").read_text("utf-8")):
        if name.endswith("_PASSWORD") or name in {"JUNTO_ADMIN_KEY", "JUNTO_SECRETS_KEY"}:
            assert default.startswith(":?")
    assert not re.search(r"^(\w+_PASSWORD|\w+_KEY)=.", EXAMPLE, re.MULTILINE)


def test_nothing_is_reachable_from_other_machines() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_junto_runs_with_no_more_rights_than_it_needs(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "user" not in service


def test_services_wait_for_those_they_need_and_those_can_say_that_they_are_ready() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert needed in services
            assert condition in {"service_healthy", "service_completed_successfully"}
            if condition == "service_healthy":
                assert "test" in services[needed]["healthcheck"]
            else:
                assert services[needed]["restart"] == "no"
    assert set(services["api"]["depends_on"]) == set(services["worker"]["depends_on"]) == {"migrate", "redis"}


def test_every_volume_that_is_mounted_is_declared() -> None:
    mounted = {
        each.partition(":")[0] for service in COMPOSE["services"].values() for each in service.get("volumes", ())
    }
    folders = {name for name in mounted if name.startswith("./")}
    assert mounted - folders == set(COMPOSE["volumes"])
    assert all((ROOT / name).is_dir() for name in folders)


def test_ollama_is_there_only_when_asked_for() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "profiles" in service] == ["ollama"]


def test_workers_can_be_many() -> None:
    """Nothing of a worker's is of one container only: no name, no port of the machine, no data directory that two would share."""
    worker = COMPOSE["services"]["worker"]
    assert not {"container_name", "ports"} & set(worker)
    assert worker["volumes"] == ["output:/output"]


def test_audio_files_lie_where_every_container_has_them() -> None:
    inside = yaml.safe_load((ROOT / "container" / "junto.yaml").read_text("utf-8"))
    assert inside["speech"]["output_dir"] == "/output"
    assert all("output:/output" in COMPOSE["services"][name]["volumes"] for name in ("api", "worker"))


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("needs docker compose")
    filled = re.sub(r"^(\w+)=$", r"\1=x", EXAMPLE, flags=re.MULTILINE)
    (tmp_path / "env").write_text(filled)
    command = [
        docker,
        "compose",
        "--env-file",
        str(tmp_path / "env"),
        "--file",
        str(ROOT / "compose.yaml"),
        "config",
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
