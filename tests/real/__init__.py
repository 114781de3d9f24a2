"""The few tests with real sockets, processes and time; all listen on loopback only."""
