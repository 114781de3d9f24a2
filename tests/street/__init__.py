"""Routers among routers: whole streets of the real code in virtual time."""
