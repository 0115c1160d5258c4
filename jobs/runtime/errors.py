"""What can go wrong in a job, and the exit code that says so to whoever started it."""

from __future__ import annotations


class JobError(RuntimeError):
    """A failure that a person can act on: one clear line, and an exit code."""

    exit_code = 1


class UsageError(JobError):
    """The call or the configuration is wrong."""

    exit_code = 2


class InputError(JobError):
    """An input is missing or breaks its contract."""

    exit_code = 3


class NotReadyError(InputError):
    """What a job works on is not there yet, and nothing is wrong: outcomes to learn from, a champion to score by."""


class GateError(JobError):
    """A quality gate stopped the job; the last good snapshot stays."""

    exit_code = 4


class LockedError(JobError):
    """Another run of the same job holds the lock."""

    exit_code = 5
