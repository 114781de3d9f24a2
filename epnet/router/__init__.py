"""The energy router: ports, allocation, and the node that runs them."""
