"""Gives a process that a test starts the clock of the test; Python imports this before anything else."""

import importlib
import os

timeshift = importlib.import_module("timeshift")  # beside this file, wherever that is

if timeshift.VARIABLE in os.environ:
    timeshift.go_by(os.environ[timeshift.VARIABLE])
