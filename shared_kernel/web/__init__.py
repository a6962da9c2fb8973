"""HTTP manners that both services share."""
