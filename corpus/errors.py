"""Errors that a user can cause or mend, each with the exit status of the process that it ends."""

from __future__ import annotations


class DatassayError(Exception):
    """Something that a user can cause or mend; the message says where, what is wrong, and what would be right."""

    exit_status = 6


class RecipeError(DatassayError):
    """A recipe or an argument is wrong."""

    exit_status = 2


class InputError(DatassayError):
    """An input is missing, unreadable or of an unknown format."""


class StoreError(DatassayError):
    """A run folder, a shard or the disk is at fault."""


class LockedError(DatassayError):
    """Another process works on this run folder."""

    exit_status = 5


class MissingExtraError(DatassayError):
    """A command needs an optional dependency that is not installed."""

    exit_status = 2
