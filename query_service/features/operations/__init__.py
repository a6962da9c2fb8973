"""Operations: how far the read models have come."""
