"""The only room that touches the world: thin mains, sources, the runtime and the reports."""

from strata.jobs.runtime.session import local_session

__all__ = ["local_session"]
