"""Mail authentication: DKIM keys, their DNS records, and the signatures on what leaves this server."""
