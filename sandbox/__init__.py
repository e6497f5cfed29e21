"""A small HTTP server of the API that tap-analytics reads, with made-up data."""

from sandbox.faults import Fault
from sandbox.server import Request, Sandbox
from sandbox.world import World

__all__ = ["Fault", "Request", "Sandbox", "World"]
