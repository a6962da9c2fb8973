"""`twinlog doctor`: looks at everything the pair stands on, and says what is wrong and what to do."""
