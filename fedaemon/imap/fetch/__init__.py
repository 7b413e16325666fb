"""FETCH: what is answered, from where it is read, and how much of it at a time."""
