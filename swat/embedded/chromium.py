"""The distribution's Chromium, for browser tests."""

import os
import shutil

from swat.embedded.supervisor import Program, ProgramFailed, Supervisor

NAMES = ("chromium", "chromium-browser", "google-chrome")

MISSING = (
    "Chromium is missing, so browser tests are skipped. "
    "As root: apt-get install chromium; or set SWAT_CHROMIUM to its path."
)

INSTALL = (
    "apt-get -qq update && DEBIAN_FRONTEND=noninteractive "
    "apt-get -qq install -y --no-install-recommends chromium"
)


def path() -> str | None:
    """Return where Chromium is: SWAT_CHROMIUM, or what is installed; None where there is none."""
    return os.environ.get("SWAT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def start_install(supervisor: Supervisor) -> Program | None:
    """Begin to install Chromium where it is missing and we may; None where nothing runs."""
    if path() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Installing Chromium for the browser tests")
    return supervisor.start("chromium", ["/bin/sh", "-c", INSTALL], stop_seconds=20)


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
