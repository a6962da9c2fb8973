"""What operators ask of the read models: rebuilding, switching, and events that were set aside."""

from command_service.features.operations.api import router
from command_service.features.operations.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "operations",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "No rebuild requested": "Kein Neuaufbau verlangt",
            "Nobody has asked for a rebuild of this read model that could be paused, resumed or cancelled.": (
                "Es wurde kein Neuaufbau dieses Lesemodells verlangt, der angehalten, fortgesetzt oder abgebrochen "
                "werden könnte."
            ),
        }
    },
)
