"""What can be seen of a running router: its state, metrics, and a live page over HTTP.

Observers look at the router on their own schedule through one shared, cached snapshot
(`epnet.observe.snapshot`); the router never calls them and never waits for them.
"""
