#!/usr/bin/env python3
"""Django's command line. Without a SECRET_KEY it works on the data of `make run`, in var/."""

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swat.settings")
    if not os.environ.get("SECRET_KEY"):
        os.environ.setdefault("SWAT_DATA_DIR", str(Path(__file__).resolve().parent / "var"))
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        sys.exit(f"The settings are not usable: {wrong}")
