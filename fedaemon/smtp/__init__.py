"""SMTP: the server and client engines without I/O, one file per verb, and Twisted protocols around them."""
