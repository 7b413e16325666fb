"""The queue and the delivery manager."""
