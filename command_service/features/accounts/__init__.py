"""User accounts: who somebody is and how they prove it."""

from command_service.features.accounts.api import router
from command_service.features.accounts.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "accounts",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Email already registered": "Adresse schon registriert",
            "Somebody has registered with this e-mail address; sign in, or use another one.": (
                "Mit dieser Adresse ist schon jemand registriert; melden Sie sich an oder nehmen Sie eine andere."
            ),
            "must be an e-mail address": "muss eine E-Mail-Adresse sein",
        }
    },
)
