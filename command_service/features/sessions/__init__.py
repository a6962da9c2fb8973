"""Sign-in sessions, the tokens that come with them, and the second factor."""

from command_service.features.sessions.api import routers
from command_service.features.sessions.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature(
    "sessions",
    routers=routers,
    permissions=PERMISSIONS,
    policies=POLICIES,
    translations={
        "de": {
            "Token refusal": "Kein Token",
            "No token is issued for this request.": "Für diese Anfrage wird kein Token ausgestellt.",
            "Invalid request": "Unvollständiges Formular",
            "The form lacks a field or repeats one.": "Dem Formular fehlt ein Feld, oder eines steht doppelt darin.",
            "Unsupported grant type": "Unbekannter Grant-Typ",
            "The grant types known here are password and refresh_token.": (
                "Die hier bekannten Grant-Typen sind password und refresh_token."
            ),
            "Invalid grant": "Anmeldung abgelehnt",
            "The address and the password do not belong together.": "Adresse und Passwort gehören nicht zusammen.",
            "Second factor needed": "Zweiter Faktor nötig",
            "This account needs a code of its authenticator app, or a recovery code, as well: send it as otp.": (
                "Dieses Konto braucht außerdem einen Code seiner Authenticator-App oder einen Ersatzcode, im Feld otp."
            ),
            "Code not accepted": "Code nicht angenommen",
            "The code is not right, has been used, or too many wrong ones came before it; wait for the next one.": (
                "Der Code ist falsch, schon benutzt, oder zu viele falsche gingen voraus; warten Sie auf den nächsten."
            ),
            "Session over": "Sitzung beendet",
            "The refresh token belongs to no session that goes on; sign in again.": (
                "Das Refresh-Token gehört zu keiner laufenden Sitzung; melden Sie sich neu an."
            ),
            "Refresh token reused": "Refresh-Token wiederverwendet",
            "The refresh token was exchanged before, so its session has been ended; sign in again.": (
                "Das Refresh-Token wurde schon einmal eingetauscht, deshalb ist seine Sitzung beendet; melden Sie sich "
                "neu an."
            ),
            "Step up refused": "Nachweis abgelehnt",
            "The proof was not accepted; a code counts once, and an account with a second factor takes codes alone.": (
                "Der Nachweis wurde nicht angenommen; ein Code zählt einmal, und ein Konto mit zweitem Faktor nimmt "
                "nur Codes."
            ),
            "Totp already active": "Zweiter Faktor schon aktiv",
            "The account has a second factor already; remove it before another one is set up.": (
                "Das Konto hat schon einen zweiten Faktor; entfernen Sie ihn, bevor Sie einen anderen einrichten."
            ),
            "No totp to activate": "Kein zweiter Faktor vorbereitet",
            "There is no new second factor waiting for its first code; ask for one first.": (
                "Kein neuer zweiter Faktor wartet auf seinen ersten Code; fordern Sie zuerst einen an."
            ),
            "No totp active": "Kein zweiter Faktor",
            "The account has no second factor.": "Das Konto hat keinen zweiten Faktor.",
            "Wrong code": "Falscher Code",
            "The code is not right, or has been used; wait for the next one and try again.": (
                "Der Code ist falsch oder schon benutzt; warten Sie auf den nächsten und versuchen Sie es erneut."
            ),
            "Too many wrong codes": "Zu viele falsche Codes",
            "Too many wrong codes came in a row; wait a while, or use a recovery code.": (
                "Zu viele falsche Codes nacheinander; warten Sie eine Weile, oder nehmen Sie einen Ersatzcode."
            ),
        }
    },
)
