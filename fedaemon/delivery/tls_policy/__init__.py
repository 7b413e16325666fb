"""Where TLS policies come from: DANE, MTA-STS and the settings; and how the sessions under them went."""
