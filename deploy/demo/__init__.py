"""The story: an asset register of the software installed here, kept, changed, read back, proved."""
