"""Rows of tenants, clients and keys as values, and values as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from junto.core.limits import Limits
from junto.core.sensitivity import Sensitivity, parse_sensitivity
from junto.ports.identity import ClientRecord, KeyRecord, TenantRecord, UsableKey

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from junto.ports.identity import ClientChanges, TenantChanges

_NAMES = msgspec.json.Decoder(tuple[str, ...])
_LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrency")
_PLAIN = ("name", "weight", "notes")


def tenant_row(tenant: TenantRecord) -> dict[str, Any]:
    """The columns of a tenant, without its times."""
    return {
        "id": tenant.id,
        "name": tenant.name,
        "enabled": int(tenant.enabled),
        "notes": tenant.notes,
        **msgspec.structs.asdict(tenant.limits),
    }


def tenant_from(row: RowMapping) -> TenantRecord:
    """A tenant without its budgets."""
    return TenantRecord(
        id=row["id"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        limits=_limits(row),
        notes=row["notes"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
    )


def client_row(client: ClientRecord) -> dict[str, Any]:
    """The columns of a client, without its times."""
    return {
        "tenant_id": client.tenant_id,
        "id": client.id,
        "name": client.name,
        "enabled": int(client.enabled),
        "allow_cloud_for_internal": int(client.allow_cloud_for_internal),
        "min_sensitivity": client.min_sensitivity.label,
        "allowed_models": _models(client.allowed_models),
        "weight": client.weight,
        "scopes": _json(client.scopes),
        "notes": client.notes,
        **msgspec.structs.asdict(client.limits),
    }


def client_from(row: RowMapping) -> ClientRecord:
    """A client without its keys and budgets; `tenant_name` is in the row as such."""
    models = row["allowed_models"]
    return ClientRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        tenant_name=row["tenant_name"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        limits=_limits(row),
        allow_cloud_for_internal=bool(row["allow_cloud_for_internal"]),
        min_sensitivity=parse_sensitivity(row["min_sensitivity"]),
        allowed_models=None if models is None else _NAMES.decode(models),
        weight=row["weight"],
        scopes=_NAMES.decode(row["scopes"]),
        notes=row["notes"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
    )


def key_from(row: RowMapping) -> KeyRecord:
    """A key as it may be shown."""
    return KeyRecord(
        id=row["id"],
        client_id=row["client_id"],
        prefix=row["prefix"],
        created_ms=row["created_ms"],
        expires_ms=row["expires_ms"],
    )


def usable_key_from(row: RowMapping) -> UsableKey:
    """A key as requests are checked against it."""
    return UsableKey(id=row["id"], client_id=row["client_id"], digest=row["digest"], expires_ms=row["expires_ms"])


def tenant_changes(changes: TenantChanges) -> dict[str, Any]:
    """The columns that change."""
    return _columns(changes)


def client_changes(changes: ClientChanges) -> dict[str, Any]:
    """The columns that change."""
    columns = _columns(changes)
    if changes.allow_cloud_for_internal is not UNSET:
        columns["allow_cloud_for_internal"] = int(changes.allow_cloud_for_internal)
    if isinstance(changes.min_sensitivity, Sensitivity):
        columns["min_sensitivity"] = changes.min_sensitivity.label
    if changes.allowed_models is not UNSET:
        columns["allowed_models"] = _models(changes.allowed_models)
    if changes.scopes is not UNSET:
        columns["scopes"] = _json(changes.scopes)
    return columns


def _columns(changes: ClientChanges | TenantChanges) -> dict[str, Any]:
    columns = {name: getattr(changes.limits, name) for name in _LIMITS}
    columns |= {name: getattr(changes, name, UNSET) for name in _PLAIN}
    columns = {name: value for name, value in columns.items() if value is not UNSET}
    if changes.enabled is not UNSET:
        columns["enabled"] = int(changes.enabled)
    return columns


def _limits(row: RowMapping) -> Limits:
    return Limits(**{name: row[name] for name in _LIMITS})


def _models(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else _json(names)


def _json(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(names).decode()
