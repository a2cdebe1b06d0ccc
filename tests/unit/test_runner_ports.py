"""Ports: free ones are found, taken ones are named with the setting to change."""

import socket
from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.host.serving import listening
from infra.local.ports import LOOPBACK, free_ports, is_free, require_free


def test_free_ports_differ_can_be_listened_on_and_are_not_those_spoken_for() -> None:
    first = free_ports(5)
    second = free_ports(5, taken=first)
    assert len({*first, *second}) == 10
    for port in first:
        listening(port, LOOPBACK).close()


def test_ports_lie_below_the_range_of_outgoing_connections() -> None:
    file = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not file.exists():
        pytest.skip("this system does not show its range of local ports")
    lowest = int(file.read_text().split()[0])
    assert max(free_ports(20)) < lowest


def test_a_taken_port_is_refused_with_its_number_and_setting() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(ConfigurationError, match=rf"PETROSA_HTTP_PORT: port {port} is in use"):
            require_free(port, "PETROSA_HTTP_PORT")
        with pytest.raises(ConfigurationError, match=f"PORT: expected a free port, was {port}"):
            listening(port, LOOPBACK)
    require_free(port, "PETROSA_HTTP_PORT")
