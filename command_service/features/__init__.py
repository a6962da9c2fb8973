"""The features that the command service offers."""
