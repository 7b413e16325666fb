"""Finding messages: what SEARCH, SORT and THREAD share."""
