"""The page after SIGHUP: another configuration, or the one before if that is wrong."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.ports import free_port


def answers(port: int) -> bool:
    """Whether there is a page, however little it has to show."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_the_page_goes_on_with_another_configuration_or_with_the_one_before(
    tmp_path: Path,
) -> None:
    config, log = tmp_path / "mailingest.toml", tmp_path / "log"
    first, second = free_port(), free_port()

    def write(web: str) -> None:
        config.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n[web]\n{web}\n')

    def is_refused(times: int) -> bool:
        return log.read_text().count("is refused") == times

    write(f"port = {first}")
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "mailingest", "web", "--config", str(config)], stderr=errors
        ) as process,
    ):
        try:
            wait_until(lambda: answers(first), "it is served")
            write(f"port = {second}")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: answers(second), "it is served elsewhere")
            assert not answers(first)
            for number, wrong in enumerate(("port = -1", 'host = "192.0.2.1"\nproxy_header = "X"')):
                write(wrong)
                process.send_signal(signal.SIGHUP)
                wait_until(partial(is_refused, number + 1), "it is refused")
                wait_until(lambda: answers(second), "it is served as before")
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0
