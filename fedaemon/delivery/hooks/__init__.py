"""Webhooks: programs elsewhere hear what became of the messages that accounts sent."""
