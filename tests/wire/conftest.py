# SPDX-License-Identifier: Apache-2.0
"""Servers for the tests: `examples` and `zoo` live for a whole file, `serve` makes one of its own."""
import pytest

import harness
import models


@pytest.fixture(scope="session")
def examples():
    """The example models with default settings."""
    with harness.Server(paths=[harness.EXAMPLES]) as s:
        yield s


@pytest.fixture(scope="session")
def zoo_dir(tmp_path_factory):
    return models.write_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def zoo(zoo_dir):
    """Small models made for the tests, one for each datatype among them (models.py)."""
    with harness.Server(paths=[zoo_dir]) as s:
        yield s


@pytest.fixture
def serve():
    """serve(...) starts a server of the test's own; it is stopped, and its exit checked, after it."""
    started = []

    def start(*args, **options):
        started.append(harness.Server(*args, **options))
        return started[-1]
    yield start
    for s in reversed(started):
        if s in harness.Server.alive:
            s.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for s in harness.Server.alive:
            report.sections.append((f"log of galley {' '.join(s.args)}", s.tail()))


def pytest_sessionfinish():
    for s in list(harness.Server.alive):
        s.kill()


def pytest_sessionstart():
    if not harness.Path(harness.BIN).is_file():
        pytest.exit(f"there is no galley at {harness.BIN}: build it, or say where in GALLEY_BIN", 1)
