"""Feeds events to projections: batches, checkpoints, parked events, rebuilds."""
