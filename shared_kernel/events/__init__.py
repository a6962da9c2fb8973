"""The event contracts: what happened, in the words both services understand."""
