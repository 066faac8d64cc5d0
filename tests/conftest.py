"""What holds for every test: one that is skipped has failed, because it proved nothing."""

from collections.abc import Generator

import pytest

from tests.kafka.fixtures import kafka as kafka
from tests.kafka.fixtures import kafka_cluster as kafka_cluster
from tests.kafka.fixtures import kafka_link as kafka_link
from tests.kafka.fixtures import lone_kafka as lone_kafka
from tests.kafka.fixtures import other_kafka_link as other_kafka_link
from tests.kafka.fixtures import own_kafka as own_kafka
from tests.kafka.fixtures import secured_kafka as secured_kafka
from tests.postgres import empty_database as empty_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import shared_database as shared_database


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped; provide what it needs or remove it ({report.longrepr})"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
