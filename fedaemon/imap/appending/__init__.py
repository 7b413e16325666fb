"""What APPEND and REPLACE share: contents on their way into a mailbox, and where they go."""
