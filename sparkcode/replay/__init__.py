"""Scripts that play a user on a virtual clock and judge what was felt."""
