"""The only room that touches the world: thin mains, sources, the runtime and the reports."""

from strata.jobs.front_door import OpenBank, open_bank
from strata.jobs.runtime.session import local_session

__all__ = ["OpenBank", "local_session", "open_bank"]
