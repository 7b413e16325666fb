"""What the server shows over HTTP: mail programs find their settings there, monitoring its numbers."""
