"""What every market store promises, whatever database is behind it. An adapter's tests inherit and open the store."""

from tests.contract.market_store.competing import CompetingContract, content, winners
from tests.contract.market_store.facts import FactsContract
from tests.contract.market_store.opening import OpenStore, using
from tests.contract.market_store.reading import ReadingContract
from tests.contract.market_store.record import RecordContract

__all__ = ["MarketStoreContract", "OpenStore", "content", "using", "winners"]


class MarketStoreContract(FactsContract, ReadingContract, CompetingContract, RecordContract):
    """Inherit, and override the fixtures ``open_store`` and ``open_fresh``."""
