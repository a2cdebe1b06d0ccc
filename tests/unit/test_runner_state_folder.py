"""The state folder: one runner at a time, one market and origin for ever, logs that do not grow without end."""

import multiprocessing
import os
from pathlib import Path

import pytest

from common.errors import ConfigurationError, StateMismatch
from infra.local.runner.state_folder import StateMark, held_state_folder, rotate_log

SIMULATED = StateMark(market="um", origin="simulated")


def test_a_folder_is_created_and_can_be_used_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state"
    for _ in range(2):
        with held_state_folder(path, SIMULATED) as folder:
            assert folder.path == path
            assert folder.log("bridge").parent.is_dir()


@pytest.mark.parametrize(
    "other", [StateMark("spot", "simulated"), StateMark("um", "live"), StateMark("um", "simulated", "servers")]
)
def test_a_folder_refuses_another_market_origin_or_store_and_says_the_way_out(tmp_path: Path, other: StateMark) -> None:
    with held_state_folder(tmp_path, SIMULATED) as folder:
        folder.claim(SIMULATED)
    with pytest.raises(StateMismatch, match="PETROSA_DATA_DIR"), held_state_folder(tmp_path, other):
        pass
    with held_state_folder(tmp_path, SIMULATED):
        pass


def test_a_start_that_was_refused_leaves_no_mark(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError), held_state_folder(tmp_path, SIMULATED):
        raise ConfigurationError("the port is taken")
    other = StateMark("spot", "live")
    with held_state_folder(tmp_path, other) as folder:
        folder.claim(other)
    with pytest.raises(StateMismatch), held_state_folder(tmp_path, SIMULATED):
        pass


def test_a_mark_of_before_there_were_servers_is_one_of_embedded_stores(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"market":"um","origin":"simulated"}')
    with held_state_folder(tmp_path, SIMULATED):
        pass
    on_servers = StateMark("um", "simulated", "servers")
    with pytest.raises(StateMismatch, match="STORES"), held_state_folder(tmp_path, on_servers):
        pass


def test_a_second_runner_is_refused_and_told_which_process_holds_the_folder(tmp_path: Path) -> None:
    with held_state_folder(tmp_path, SIMULATED):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            message = pool.apply(_try_to_hold, (tmp_path,))
        assert str(multiprocessing.current_process().pid) in message
        assert "PETROSA_DATA_DIR" in message
    assert _try_to_hold(tmp_path) == "held"


def _try_to_hold(path: Path) -> str:
    try:
        with held_state_folder(path, SIMULATED):
            return "held"
    except ConfigurationError as error:
        return str(error)


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="PETROSA_DATA_DIR"), held_state_folder(tmp_path / "file", SIMULATED):
        pass


def test_an_unreadable_mark_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"state\.json"), held_state_folder(tmp_path, SIMULATED):
        pass


def test_large_logs_are_set_aside_and_only_the_newest_kept(tmp_path: Path) -> None:
    log = tmp_path / "bridge.log"
    for number in range(6):
        log.write_text(f"{number}" * 20)
        rotate_log(log, limit_bytes=10)
    assert not log.exists()
    kept = {file.name: file.read_text()[0] for file in tmp_path.iterdir()}
    assert kept == {"bridge.log.1": "5", "bridge.log.2": "4", "bridge.log.3": "3"}


def test_a_small_log_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "bridge.log"
    log.write_text("line\n")
    rotate_log(log)
    assert log.read_text() == "line\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_with_the_way_out_and_nothing_is_left(tmp_path: Path) -> None:
    draft = tmp_path / f".state.json.{os.getpid()}"
    draft.symlink_to("/dev/full")
    said = "PETROSA_DATA_DIR: the state folder .* cannot be written .No space left on device.: make room"
    with pytest.raises(ConfigurationError, match=said), held_state_folder(tmp_path, SIMULATED) as folder:
        folder.claim(SIMULATED)
    assert not draft.is_symlink()
    with held_state_folder(tmp_path, SIMULATED) as folder:
        folder.claim(SIMULATED)
