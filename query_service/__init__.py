"""The query service: projects the log into read models and answers questions."""
