from __future__ import annotations

import pytest

from worker.settings import Settings, load

PLACE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (PLACE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"} | PLACE, False),
        ({"OTEL_SDK_DISABLED": "true"} | PLACE, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "edits"}, False),
    ],
)
def test_traces_are_wanted_where_the_environment_names_a_place_for_them(
    environment: dict[str, str], wanted: bool
) -> None:
    found = load(environment, accounts_wanted=False)
    assert isinstance(found, Settings)
    assert found.tracing is wanted
