"""The proxy that other tests put before a server: it forwards faithfully, and fails exactly as it was told."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from infra.local.ports import free_ports
from tests.support.patience import PATIENCE_S
from tests.support.servers.proxy import Proxy

_QUIET_SECONDS = 0.15


class _Server:
    """Answers each piece with itself and remembers all it got."""

    def __init__(self) -> None:
        self.got = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def wait_for(self, n_bytes: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.got) < n_bytes:
            assert time.monotonic() < deadline, f"only {len(self.got)} of {n_bytes} bytes came"
            time.sleep(0.005)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._echo, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.got += data
                    connection.sendall(data)
            except OSError:
                return


@pytest.fixture
def server() -> Iterator[_Server]:
    echo = _Server()
    yield echo
    echo.close()


@pytest.fixture
def proxy(server: _Server) -> Iterator[Proxy]:
    with Proxy(server.port) as running:
        yield running


def _connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def _answer(client: socket.socket, sent: bytes) -> bytes:
    client.sendall(sent)
    got = b""
    while len(got) < len(sent) and (piece := client.recv(65_536)):
        got += piece
    return got


def test_forwards_both_ways_and_the_end_of_a_direction(server: _Server, proxy: Proxy) -> None:
    large = bytes(range(256)) * 4000
    with _connect(proxy) as client:
        for start in range(0, len(large), 32_768):
            assert _answer(client, large[start : start + 32_768]) == large[start : start + 32_768]
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert server.got == large


def test_cut_resets_open_connections_and_takes_new_ones(proxy: Proxy) -> None:
    with _connect(proxy) as client:
        assert _answer(client, b"before") == b"before"
        proxy.cut()
        assert proxy.connections == 0
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with _connect(proxy) as client:
        assert _answer(client, b"after") == b"after"


@pytest.mark.parametrize("n_bytes", [1, 7, 100_000])
def test_cut_after_lets_exactly_so_many_bytes_through_once(server: _Server, proxy: Proxy, n_bytes: int) -> None:
    with _connect(proxy) as client:
        proxy.cut_after(n_bytes)
        with pytest.raises(ConnectionResetError):
            _send_and_read(client, n_bytes + 200_000)
    server.wait_for(n_bytes)
    assert len(server.got) == n_bytes
    with _connect(proxy) as client:
        assert _answer(client, b"after") == b"after"


def _send_and_read(client: socket.socket, n_bytes: int) -> None:
    for _ in range(0, n_bytes, 50_000):
        _answer(client, b"x" * 50_000)


def test_refuse_turns_new_connections_away_and_keeps_open_ones(proxy: Proxy) -> None:
    with _connect(proxy) as client:
        assert _answer(client, b"1") == b"1"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        assert _answer(client, b"2") == b"2"
        proxy.accept()
        with _connect(proxy) as second:
            assert _answer(second, b"3") == b"3"


def test_stall_accepts_and_holds_what_is_sent(server: _Server, proxy: Proxy) -> None:
    proxy.stall()
    with _connect(proxy) as client:
        client.sendall(b"held")
        client.settimeout(_QUIET_SECONDS)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert not server.got
        proxy.resume()
        client.settimeout(PATIENCE_S)
        assert _answer(client, b"") == b""
        server.wait_for(4)
        assert client.recv(4, socket.MSG_WAITALL) == b"held"


def test_a_stalled_connection_can_be_cut_and_its_data_never_arrive(server: _Server, proxy: Proxy) -> None:
    proxy.stall()
    with _connect(proxy) as client:
        client.sendall(b"lost")
        deadline = time.monotonic() + PATIENCE_S
        while not proxy.connections:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    proxy.resume()
    with _connect(proxy) as client:
        assert _answer(client, b"next") == b"next"
    assert server.got == b"next"


def test_delay_holds_each_piece(server: _Server, proxy: Proxy) -> None:
    proxy.delay_ms = 60
    with _connect(proxy) as client:
        began = time.monotonic()
        assert _answer(client, b"slow") == b"slow"
        assert time.monotonic() - began >= 0.12


def test_without_a_server_a_connection_ends() -> None:
    [nobody] = free_ports(1)
    with Proxy(nobody) as proxy, _connect(proxy) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_leaving_closes_everything(server: _Server) -> None:
    with Proxy(server.port) as proxy:
        client = _connect(proxy)
        assert _answer(client, b"x") == b"x"
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    assert not any(thread.name == "proxy" for thread in threading.enumerate())
