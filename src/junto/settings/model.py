"""Every key of junto.yaml with its default and its bounds. docs/configuration.md explains each; a test compares the two.

Values only: what contradicts what is in checks.py, where values come from is in load.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from junto.core.secret import Secret
from junto.settings.fields import (
    BackendName,
    Bool,
    DatabaseUrl,
    Frozen,
    Int,
    Interpolated,
    Keep,
    Listing,
    Locality,
    ModelName,
    OutboundEntry,
    PublicName,
    RedisUrl,
    Seconds,
    SecretText,
    Section,
    SensitivityName,
    StrategyName,
    Text,
    Url,
)
from junto.settings.redaction import redact


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class ServerSettings(_Strict):
    """Where Junto listens. `port` 0 lets the system choose."""

    host: Text = "127.0.0.1"
    port: Annotated[Int, Field(ge=0, le=65_535)] = 11_430
    workers: Annotated[Int, Field(ge=1, le=64)] = 1
    max_body_mb: Annotated[Int, Field(ge=1, le=1_024)] = 32


class OpenClientSettings(_Strict):
    """Who a caller without a key is, in open mode."""

    allow_cloud_for_internal: Bool = True


class AuthSettings(_Strict):
    """Whether inference needs a key."""

    mode: Literal["open", "keys"] = "open"
    allow_open_beyond_loopback: Bool = False
    open_client: Annotated[OpenClientSettings, Section] = OpenClientSettings()


class TimeoutSettings(_Strict):
    """Seconds that an attempt may wait in each phase; `cold_first_token` is for a local model that has to be loaded."""

    connect: Seconds = 5.0
    headers: Seconds = 30.0
    first_token: Seconds = 120.0
    cold_first_token: Seconds = 300.0
    idle: Seconds = 60.0


def _models(value: Any) -> Any:
    """A list of names stands for names that mean themselves."""
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("must be a list of names, each of them text")
        if len(set(value)) < len(value):
            raise ValueError("names a model twice")
        value = {str(name): str(name) for name in value}
    if value == {}:
        raise ValueError("must name at least one model; leave it out to discover them")
    if value is not None and not isinstance(value, dict | Mapping):
        raise ValueError("must be a list of names, or a mapping {public-name: upstream-name}")
    return value


class BackendSettings(_Strict):
    """One model server or cloud account. `models` maps public to upstream names; None means discovered."""

    name: BackendName
    provider: Text
    url: Url | None = None
    api_key: SecretText | None = None
    locality: Locality | None = None
    models: Annotated[Mapping[PublicName, ModelName] | None, BeforeValidator(_models), Frozen] = None
    priority: Annotated[Int, Field(ge=0, le=1_000_000)] = 100
    slots: Annotated[Int, Field(ge=1, le=10_000)] | None = None
    enabled: Bool = True
    timeouts: Annotated[TimeoutSettings, Section] = TimeoutSettings()

    @model_validator(mode="before")
    @classmethod
    def _type_means_provider(cls, data: Any) -> Any:
        if isinstance(data, dict) and "type" in data and "provider" not in data:
            return {("provider" if key == "type" else key): value for key, value in data.items()}
        return data


def _member(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class MemberSettings(_Strict):
    """One member of a group."""

    model: ModelName
    weight: Annotated[Int, Field(ge=1, le=1_000)] = 1


class GroupSettings(_Strict):
    """Interchangeable deployments behind one name; `strategy` None is `routing.strategy`."""

    members: Annotated[
        tuple[Annotated[MemberSettings, BeforeValidator(_member)], ...], Field(strict=False, min_length=1)
    ]
    strategy: StrategyName | None = None
    fallback: ModelName | None = None


class RoutingSettings(_Strict):
    """Rules that hold for every name."""

    strategy: StrategyName = "smart"
    prefer_loaded: Bool = True
    heartbeat_interval: Annotated[Seconds, Field(ge=0.1)] = 10.0
    default_sensitivity: SensitivityName = "internal"
    max_attempts: Annotated[Int, Field(ge=1, le=32)] = 4


class ResponsesSettings(_Strict):
    """How much of an exchange is stored, per tier."""

    public: Keep = "full"
    internal: Keep = "full"
    confidential: Keep = "metadata"


class StorageSettings(_Strict):
    """What is stored of exchanges; `retention_days` None keeps them for ever."""

    responses: Annotated[ResponsesSettings, Section] = ResponsesSettings()
    compress: Bool = True
    retention_days: Annotated[Int, Field(ge=1, le=36_500)] | None = 30


class JobsSettings(_Strict):
    """How jobs are run: where, how many at once in one process, and what follows a failed attempt."""

    worker: Literal["auto", "on", "off"] = "auto"
    concurrency: Annotated[Int, Field(ge=1, le=10_000)] = 500
    failure_handling: Literal["static", "triage"] = "static"
    triage_model: ModelName = "fast"


class EvalsSettings(_Strict):
    """Evidence about models: whether a data set may have confidential content, when it is asked for by name."""

    datasets_confidential: Bool = False


class OutboundSettings(_Strict):
    """Where URLs that users name may lead besides the public internet: hosts by name, networks by CIDR."""

    allow: Annotated[tuple[OutboundEntry, ...], Field(strict=False), Listing] = ()


class SlackSettings(_Strict):
    """The Slack app whose events are answered; off without a `bot_token`."""

    bot_token: SecretText | None = None
    signing_secret: SecretText | None = None
    api_url: Url = "https://slack.com/api"


class ChannelsSettings(_Strict):
    """Where people talk to agents, beside the API."""

    slack: Annotated[SlackSettings, Section] = SlackSettings()


class MetricsSettings(_Strict):
    """Whether /metrics is served."""

    enabled: Bool = True


class LoggingSettings(_Strict):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


def _path(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value and "\0" not in value:
        return Path(str.__str__(value) if isinstance(value, Interpolated) else value)
    raise ValueError("must be a folder")


class PiperSettings(_Strict):
    """The second engine, which runs as a process of its own."""

    enabled: Bool = True


class SpeechSettings(_Strict):
    """Texts that are said aloud; `output_dir` None is `output` in the data directory, `retention_days` None keeps files with their jobs."""

    voice: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    max_chars: Annotated[Int, Field(ge=1, le=1_000_000)] = 10_000
    workers: Annotated[Int, Field(ge=1, le=64)] = 2
    output_dir: Annotated[Path, PlainValidator(_path)] | None = None
    voices_dir: Annotated[Path, PlainValidator(_path)] | None = None
    retention_days: Annotated[Int, Field(ge=1, le=36_500)] | None = None
    piper: Annotated[PiperSettings, Section] = PiperSettings()


type _Rules = Mapping[ModelName, Annotated[tuple[ModelName, ...], Field(strict=False, min_length=1)]]


class FileSettings(_Strict):
    """junto.yaml."""

    server: Annotated[ServerSettings, Section] = ServerSettings()
    data_dir: Annotated[Path, PlainValidator(_path)] = Path("data")
    prompts_dir: Annotated[Path, PlainValidator(_path)] = Path("prompts")
    councils_dir: Annotated[Path, PlainValidator(_path)] = Path("councils")
    database_url: DatabaseUrl | None = None
    redis_url: RedisUrl | None = None
    auth: Annotated[AuthSettings, Section] = AuthSettings()
    builtin_model: Literal["auto", "on", "off"] = "auto"
    backends: Annotated[tuple[BackendSettings, ...], Field(strict=False), Listing] = ()
    groups: Annotated[Mapping[PublicName, GroupSettings], Section, Frozen] = Field(
        default_factory=dict, validate_default=True
    )
    fallbacks: Annotated[_Rules, Section, Frozen] = Field(default_factory=dict, validate_default=True)
    routing: Annotated[RoutingSettings, Section] = RoutingSettings()
    storage: Annotated[StorageSettings, Section] = StorageSettings()
    jobs: Annotated[JobsSettings, Section] = JobsSettings()
    evals: Annotated[EvalsSettings, Section] = EvalsSettings()
    speech: Annotated[SpeechSettings, Section] = SpeechSettings()
    outbound: Annotated[OutboundSettings, Section] = OutboundSettings()
    channels: Annotated[ChannelsSettings, Section] = ChannelsSettings()
    metrics: Annotated[MetricsSettings, Section] = MetricsSettings()
    logging: Annotated[LoggingSettings, Section] = LoggingSettings()


class Settings(FileSettings):
    """The file with the environment and the options of `serve` on top: what Junto runs with.

    `backends` includes those that a provider's key in the environment makes; `ollama_candidates` are servers to be used
    if they answer. `config_file` and `pricing_file` are None where there is none. `warnings` are sentences for the operator.
    """

    admin_key: Secret | None = None
    secrets_key: Secret | None = None
    ollama_candidates: tuple[BackendSettings, ...] = ()
    config_file: Path | None = None
    pricing_file: Path | None = None
    warnings: tuple[str, ...] = ()

    def redacted(self) -> dict[str, Any]:
        """Every setting in force as plain values for people, secrets masked."""
        return redact(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The options of `junto serve` that override the file; None where an option was not given."""

    host: str | None = None
    port: int | None = None
    data_dir: Path | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProvider:
    """What settings must know of a provider: its address and the variable of its key if it has them, and what it cannot do without."""

    url: str | None = None
    key_variable: str | None = None
    needs_url: bool = False
    needs_models: bool = False
