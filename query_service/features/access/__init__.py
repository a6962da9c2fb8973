"""Access: who holds which role, for the read side; it answers no question of its own yet."""

from shared_kernel.feature import Feature

FEATURE = Feature("access")
