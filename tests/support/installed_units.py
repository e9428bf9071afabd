"""The units of this tree on a real systemd, with the program of this environment."""

import sys
import sysconfig
from pathlib import Path

from mailingest.web.users import hash_password
from tests.support.lab.polling import PATIENCE
from tests.support.systemd_host import SystemdHost

ROOT = Path(__file__).parents[2]
PIECES = ROOT / "systemd"
UNIT = PIECES / "mailingest.service"
RETENTION = PIECES / "mailingest-retention.service"
REPORT = PIECES / "mailingest-report.service"
WEB = PIECES / "mailingest-web.service"
UNITS = (UNIT, RETENTION, REPORT, WEB)
SOCKETS = (UNIT.with_suffix(".socket"), WEB.with_suffix(".socket"))
TIMERS = (RETENTION.with_suffix(".timer"), REPORT.with_suffix(".timer"))
PROGRAM = "/usr/local/bin/mailingest"

# The file that the web unit is given as a credential, and the password of its one user, ann.
USERS = "/run/systemd/system/users"
PASSWORD = "s3cret"


def installed(directory: Path) -> Path:
    """The units, with the program of this environment in place of the installed one.

    Interpreter and libraries may lie in a home directory, which the unit hides: they are shown
    to it elsewhere.
    """
    units = directory / "units"
    units.mkdir()
    interpreter = Path(sys.executable).resolve().relative_to(sys.base_prefix)
    places = {
        "/run/python": sys.base_prefix,
        "/run/libraries": sysconfig.get_path("purelib"),
        "/run/source": str(ROOT),
    }
    binds = "".join(f"BindReadOnlyPaths={there}:{here}\n" for here, there in places.items())
    # An interpreter may be linked to a library beside it.
    paths = "Environment=PYTHONPATH=/run/libraries:/run/source LD_LIBRARY_PATH=/run/python/lib\n"
    settings = "Environment=MAILINGEST_RETENTION__DAYS=3 MAILINGEST_WEB__USERS_FILE=users\n"
    settings += f"TimeoutStartSec={PATIENCE:g}\n"
    for unit in UNITS:
        text = unit.read_text().replace(PROGRAM, f"/run/python/{interpreter} -m mailingest")
        text = text.replace("[Service]", f"[Service]\n{binds}{paths}{settings}")
        text = text.replace(
            "# LoadCredential=users:/etc/mailingest/users", f"LoadCredential=users:{USERS}"
        )
        (units / unit.name).write_text(text)
    for other in (*SOCKETS, *TIMERS):
        (units / other.name).write_text(other.read_text())
    users = units / Path(USERS).name
    users.write_text(f"ann:{hash_password(PASSWORD)}\n")
    users.chmod(0o600)
    return units


def make_users_and_directories(host: SystemdHost) -> None:
    """What the packages do before the first start; raises RuntimeError."""
    for command in (
        ["systemd-sysusers", str(PIECES / "sysusers.d" / "mailingest.conf")],
        ["systemd-tmpfiles", "--create", str(PIECES / "tmpfiles.d" / "mailingest.conf")],
    ):
        done = host.run(*command)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}{host.log()}")
