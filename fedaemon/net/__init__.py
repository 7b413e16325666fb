"""The network below mail: TLS, DNS, listeners, PROXY protocol, systemd. It knows no mail protocol."""
