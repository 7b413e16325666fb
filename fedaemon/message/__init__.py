"""What a mail looks like: addresses, headers, dates, encoded words, and the reports that we write."""
