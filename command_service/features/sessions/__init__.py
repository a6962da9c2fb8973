"""Sign-in sessions and the access tokens that come with them."""

from command_service.features.sessions.api import router
from command_service.features.sessions.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "sessions",
    routers=(router,),
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Token refusal": "Kein Token",
            "No token is issued for this request.": "Für diese Anfrage wird kein Token ausgestellt.",
            "Invalid request": "Unvollständiges Formular",
            "The form lacks a field or repeats one.": "Dem Formular fehlt ein Feld, oder eines steht doppelt darin.",
            "Unsupported grant type": "Unbekannter Grant-Typ",
            "The only grant type known here is password.": "Der einzige hier bekannte Grant-Typ ist password.",
            "Invalid grant": "Anmeldung abgelehnt",
            "The address and the password do not belong together.": "Adresse und Passwort gehören nicht zusammen.",
        }
    },
)
