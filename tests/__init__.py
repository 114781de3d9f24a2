"""The tests of epnet."""

from hypothesis import HealthCheck, settings

# How fast examples are made says something of the machine, and nothing of what is tested.
settings.register_profile(
    "epnet", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("epnet")
