"""Failed assertions of the inherited contracts show their values, as those of test modules do."""

import pytest

for name in ("market_store", "analytics_store", "metadata_store", "broker"):
    pytest.register_assert_rewrite(f"tests.contract.{name}_contract")
