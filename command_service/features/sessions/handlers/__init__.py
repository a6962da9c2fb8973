"""From what is asked of sessions and second factors to the answer."""
