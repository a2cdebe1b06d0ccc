"""Why a message of a batch gives no row. Both stay inside the function: the batch goes on."""

from common.models.dead_letters import Reason


class BadRow(Exception):
    """The message can never be stored; it becomes a dead letter."""

    def __init__(self, reason: Reason, field: str | None, detail: str) -> None:
        self.reason = reason
        self.field = field
        self.detail = detail
        super().__init__(detail)


class UnhandledRow(Exception):
    """The message is sound but of a kind that is not stored; it is counted under ``kind``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)
