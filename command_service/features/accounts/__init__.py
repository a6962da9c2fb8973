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
            "Invitation needed": "Einladung nötig",
            "Whoever registers in this tenant needs an invitation; ask one of its administrators for a code.": (
                "Wer sich in diesem Mandanten registriert, braucht eine Einladung; bitten Sie dort um einen Code."
            ),
            "Invitation not accepted": "Einladung nicht angenommen",
            "The invitation does not count: it was used, was withdrawn or has expired, or there never was one.": (
                "Die Einladung gilt nicht: Sie ist verbraucht, zurückgezogen, abgelaufen, oder es gab sie nie."
            ),
            "Wrong password": "Falsches Passwort",
            "The current password is not right.": "Das bisherige Passwort ist nicht richtig.",
            "Own account is not suspended": "Eigenes Konto wird nicht gesperrt",
            "Nobody suspends themselves; ask another administrator.": (
                "Niemand sperrt sich selbst; bitten Sie einen anderen Administrator."
            ),
        }
    },
)
