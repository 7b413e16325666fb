"""Sites: where mail goes, and how much of it at a time."""
