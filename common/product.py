"""Name and version of the product, as the API and the events state them."""

from typing import Final

SERVICE: Final = "petrosa-data-manager"
TITLE: Final = "Petrosa Data Manager API"
VERSION: Final = "1.1.0"
