"""The page of fields is what the declarations say."""

from common.analytics.metrics import DOCUMENTS
from infra.docs.fields import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m infra.docs.fields"


def test_every_field_stands_in_it_with_its_unit() -> None:
    rows = {line.split(" | ")[0]: line for line in page().splitlines()}
    for metric in DOCUMENTS.values():
        for field in metric.fields:
            name = f"| `{field.name}`" + (f" (stored as `{field.stored}`)" if field.stored else "")
            assert field.says in page()
            assert name in rows, field.name
