"""Accounts: domains, who may log in and how, which addresses are whose, and how much each may send."""
