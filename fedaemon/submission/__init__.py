"""What happens to a message before it is accepted: who may send it, as whom, to whom, and in which form."""
