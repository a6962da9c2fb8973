"""Resources, the example business object: something with an owner that is recorded, changed and put away."""

from command_service.features.resources.api import router
from command_service.features.resources.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "resources",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Archived resource refuses changes": "Archivierte Ressource bleibt unverändert",
            "The resource is archived; restore it before you change it.": (
                "Die Ressource ist archiviert; stellen Sie sie wieder her, bevor Sie sie ändern."
            ),
            "Attributes outgrow their limits": "Zu viele Attribute",
            "With this change the attributes would be more than a resource can carry.": (
                "Mit dieser Änderung wären es mehr Attribute, als eine Ressource tragen kann."
            ),
            "must not be larger than 16384 bytes": "darf nicht größer als 16384 Byte sein",
            "must not be nested more than 5 levels deep": "darf nicht tiefer als 5 Ebenen verschachtelt sein",
            "must not have more than 64 keys": "darf nicht mehr als 64 Schlüssel haben",
        }
    },
)
