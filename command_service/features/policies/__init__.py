"""A tenant's own policies, beside those that are shipped."""

from command_service.features.policies.api import router
from command_service.features.policies.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "policies",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Policy already exists": "Regel schon vorhanden",
            "The tenant has this policy already.": "Der Mandant hat diese Regel schon.",
            "Too many policies": "Zu viele Regeln",
            "A tenant may have at most 200 policies; remove one first.": (
                "Ein Mandant darf höchstens 200 Regeln haben; entfernen Sie zuerst eine."
            ),
            "Administrators locked out": "Verwalter ausgesperrt",
            "Nobody could change policies any more: this must stay open to administrators.": (
                "Niemand könnte mehr Regeln ändern: Das muss Verwaltern offen bleiben."
            ),
            "Condition never holds": "Bedingung trifft nie zu",
            "This condition can never hold for the objects of this permission, so the policy would never count.": (
                "Diese Bedingung kann für die Objekte dieser Berechtigung nie zutreffen; die Regel würde nie gelten."
            ),
        }
    },
)
