"""The distribution's Chromium, for browser tests."""

import ctypes
import os
import shutil

from swat.embedded.supervisor import Program, ProgramFailed, Supervisor

NAMES = ("chromium", "chromium-browser", "google-chrome")
DRIVER_LIBRARY = "libatomic.so.1"  # Playwright's driver needs it; bare Debian lacks it

MISSING = (
    "Chromium or its driver's library is missing, so browser tests are skipped. "
    "As root: apt-get install chromium libatomic1; or set SWAT_CHROMIUM to its path."
)

INSTALL = (
    "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
    "apt-get -qq install -y --no-install-recommends chromium libatomic1"
)


def path() -> str | None:
    """Return the path of a Chromium that tests can drive; None where there is none.

    It is SWAT_CHROMIUM if that is set, else what is installed.
    """
    try:
        ctypes.CDLL(DRIVER_LIBRARY)
    except OSError:
        return None
    return os.environ.get("SWAT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def start_install(supervisor: Supervisor) -> Program | None:
    """Begin to install Chromium where it is missing and we may; None where nothing runs."""
    if path() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Installing Chromium for the browser tests", flush=True)
    return supervisor.start("chromium", ["/bin/sh", "-c", INSTALL], stop_seconds=20, ends=True)


def finish_install(supervisor: Supervisor, install: Program | None) -> str | None:
    """Wait for `install` and return Chromium's path, or None after telling how to get it.

    Raises:
        ProgramFailed: there is no Chromium, and CI=true says that there must be.
    """
    if install and supervisor.wait_for_end(install) != 0:
        print(f"Chromium could not be installed:{install.tail()}")
    found = path()
    if found is None:
        if os.environ.get("CI") == "true":
            raise ProgramFailed(MISSING)
        print(MISSING)
    return found
