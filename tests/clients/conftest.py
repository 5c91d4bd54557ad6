"""Servers and actors for the tests. Whatever was started is killed at the end."""

import pytest
from actors import Developer
from server_process import ServerProcess
from services import Service


@pytest.fixture
def make_server(tmp_path):
    """Starts servers with a configuration of the test's own."""
    made = []

    def make(config="", **more):
        directory = tmp_path / f"server-{len(made)}"
        directory.mkdir()
        server = ServerProcess(directory, config, **more)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def service():
    """A service of the operator's, that sends back what it gets unless it is told otherwise."""
    made = Service()
    yield made
    made.stop()


@pytest.fixture
def server(make_server):
    """A server with the defaults."""
    return make_server()


@pytest.fixture
def developer(server):
    return Developer(server)


@pytest.fixture
def pool(developer):
    return developer.pool()


@pytest.fixture
def guest(developer, pool):
    return developer.guest(pool)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the server's own words beside a failure."""
    report = (yield).get_result()
    if report.when == "call" and report.failed and "tmp_path" in item.funcargs:
        for log in sorted(item.funcargs["tmp_path"].glob("server-*/server.log")):
            words = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            report.sections.append((f"{log.parent.name} said", words))
