"""Tenants, and the roles that users hold in them."""

from command_service.features.access.api import router
from command_service.features.access.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "access",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Tenant already exists": "Mandant schon vorhanden",
            "There is a tenant of this name already.": "Einen Mandanten dieses Namens gibt es schon.",
            "Membership is not withdrawn": "Mitgliedschaft wird nicht entzogen",
            "Every registered user is a member; this role cannot be withdrawn.": (
                "Wer registriert ist, ist Mitglied; diese Rolle kann nicht entzogen werden."
            ),
        }
    },
)
