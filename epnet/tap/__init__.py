"""The twistd plugins: options and `makeService` of ep-router, ep-client, ep-server and ep-peer."""
