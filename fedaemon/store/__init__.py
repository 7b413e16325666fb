"""The transactional store: everything that fedaemon remembers."""
