"""Exchange records as they lie in the journal while there is a secret: their bodies sealed, what the ledger needs readable.

So what another secret's journal holds is charged all the same; only the words are lost. Knows no file and no frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.storage.bodies import Packed
from junto.storage.sealing import unsealed

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord
    from junto.storage.sealing import Sealer

_SEALED: Final = b"\xc1junto sealed\0"  # no body that a caller sends is read when it begins so: it is no text
_CODEC: Final = "raw"


def seal_record(record: ExchangeRecord, sealer: Sealer) -> ExchangeRecord:
    """The record with sealed bodies; one without bodies as it is."""
    if not record.request_body and not record.answer_body:
        return record
    return msgspec.structs.replace(
        record,
        request_body=_seal(record.request_body, sealer, record, "request"),
        answer_body=_seal(record.answer_body, sealer, record, "answer"),
    )


def unseal_record(record: ExchangeRecord, sealer: Sealer | None) -> ExchangeRecord:
    """The record as it was; without its bodies, and a word in the log, where they cannot be read."""
    if not (record.request_body.startswith(_SEALED) or record.answer_body.startswith(_SEALED)):
        return record
    try:
        request = _unseal(record.request_body, sealer, record, "request")
        answer = _unseal(record.answer_body, sealer, record, "answer")
    except ValueError as error:
        structlog.get_logger().error("journal.bodies_unreadable", request_id=record.id, error=str(error))
        return msgspec.structs.replace(record, keep="metadata", request_body=b"", answer_body=b"")
    return msgspec.structs.replace(record, request_body=request, answer_body=answer)


def _seal(body: bytes, sealer: Sealer, record: ExchangeRecord, which: str) -> bytes:
    if not body:
        return body
    packed = sealer.seal(Packed(_CODEC, body), record.tenant, record.id, "journal", which)
    return b"%b%b\0%b" % (_SEALED, packed.codec.encode(), packed.content)


def _unseal(body: bytes, sealer: Sealer | None, record: ExchangeRecord, which: str) -> bytes:
    if not body.startswith(_SEALED):
        return body
    codec, _, content = body[len(_SEALED) :].partition(b"\0")
    packed = Packed(codec.decode("ascii", "replace"), content)
    return unsealed(packed, sealer, record.tenant, record.id, "journal", which).content
