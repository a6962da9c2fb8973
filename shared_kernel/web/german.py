"""What the kernel says, in German; keys are the English texts, or `validation:<kind>` for what pydantic finds."""

from collections.abc import Mapping
from types import MappingProxyType

_TITLES = {
    "Unauthenticated": "Nicht angemeldet",
    "Forbidden": "Nicht erlaubt",
    "Step up required": "Neuer Nachweis nötig",
    "Not found": "Nicht gefunden",
    "Method not allowed": "Methode nicht erlaubt",
    "Validation failed": "Ungültige Werte",
    "Malformed body": "Fehlerhafter Inhalt",
    "Malformed header": "Fehlerhafte Kopfzeile",
    "Malformed consistency token": "Fehlerhaftes Consistency-Token",
    "Body too large": "Inhalt zu groß",
    "Header fields too large": "Kopfzeilen zu groß",
    "Request timeout": "Zeit überschritten",
    "Unsupported media type": "Inhaltstyp nicht unterstützt",
    "Unknown parameter": "Unbekannter Parameter",
    "Stale version": "Veralteter Stand",
    "Version conflict": "Gleichzeitige Änderung",
    "Idempotency key reused": "Idempotency-Key schon verwendet",
    "Idempotency in flight": "Anfrage noch in Arbeit",
    "Replay unavailable": "Antwort nicht aufbewahrt",
    "Rate limited": "Zu viele Anfragen",
    "Read model behind": "Lesemodell noch nicht so weit",
    "Read model parked": "Lesemodell angehalten",
    "Log epoch changed": "Protokoll wurde wiederhergestellt",
    "Service unavailable": "Dienst nicht verfügbar",
    "Subject erased": "Person gelöscht",
    "Refusal": "Abgelehnt",
    "Bad request": "Fehlerhafte Anfrage",
    "Internal error": "Interner Fehler",
}

_DETAILS = {
    "Sign in first: the access token is missing, expired or not valid here.": (
        "Bitte zuerst anmelden: Das Zugriffstoken fehlt, ist abgelaufen oder gilt hier nicht."
    ),
    "You are signed in, but you may not do this.": "Sie sind angemeldet, dürfen das aber nicht.",
    "This needs fresh proof of who you are: send a code or your password to /v1/step-up and use the token you get.": (
        "Das braucht einen neuen Nachweis, wer Sie sind: Senden Sie einen Code oder Ihr Passwort an /v1/step-up, und "
        "verwenden Sie das Token, das Sie bekommen."
    ),
    "Sign in again: this session has ended.": "Melden Sie sich neu an: Diese Sitzung ist beendet.",
    "Refresh the access token: a role was withdrawn since it was issued.": (
        "Erneuern Sie das Zugriffstoken: Seit es ausgestellt wurde, ist eine Rolle entzogen worden."
    ),
    "Whether this session goes on is not known just now; try again in a moment.": (
        "Ob diese Sitzung noch läuft, ist gerade nicht bekannt; versuchen Sie es gleich noch einmal."
    ),
    "There is nothing here under this address.": "Unter dieser Adresse gibt es hier nichts.",
    "This address does not take this method; Allow names those it takes.": (
        "Diese Adresse kennt die Methode nicht; Allow nennt die möglichen."
    ),
    "The request is well formed, but some of its values are not acceptable.": (
        "Die Anfrage ist wohlgeformt, aber einige ihrer Werte sind nicht zulässig."
    ),
    "The body is not valid JSON in UTF-8.": "Der Inhalt ist kein gültiges JSON in UTF-8.",
    "The body does not have the form that its media type demands.": (
        "Der Inhalt hat nicht die Form, die sein Typ verlangt."
    ),
    "An object in the body names the same member twice.": "Ein Objekt im Inhalt nennt denselben Namen zweimal.",
    "The body is nested more than {depth} levels deep.": "Der Inhalt ist tiefer als {depth} Ebenen verschachtelt.",
    "A text in the body holds a NUL character or half of a surrogate pair.": (
        "Ein Text im Inhalt enthält ein NUL-Zeichen oder ein halbes Surrogatpaar."
    ),
    "The body holds a number that is not finite or needs more than 64 bits.": (
        "Der Inhalt enthält eine Zahl, die nicht endlich ist oder mehr als 64 Bit braucht."
    ),
    "A field of the form appears twice.": "Ein Feld des Formulars kommt zweimal vor.",
    "The form is not valid UTF-8, or holds a NUL character or too many fields.": (
        "Das Formular ist kein gültiges UTF-8 oder enthält ein NUL-Zeichen oder zu viele Felder."
    ),
    "A request header does not have the form that its definition demands.": (
        "Eine Kopfzeile der Anfrage hat nicht die Form, die ihre Definition verlangt."
    ),
    "The header {header} may be sent only once.": "Die Kopfzeile {header} darf nur einmal gesendet werden.",
    "X-Correlation-ID takes 1 to 128 letters, digits or any of . _ : / + = ~ -": (
        "X-Correlation-ID besteht aus 1 bis 128 Buchstaben, Ziffern oder . _ : / + = ~ -"
    ),
    "Idempotency-Key takes 1 to 255 visible ASCII characters, bare or in double quotes.": (
        "Idempotency-Key besteht aus 1 bis 255 sichtbaren ASCII-Zeichen, allein oder in Anführungszeichen."
    ),
    "Consistency-Token takes the value of the answer's header of the same name, unchanged.": (
        "Consistency-Token ist der unveränderte Wert der gleichnamigen Kopfzeile der Antwort."
    ),
    "Prefer takes wait=<seconds> as a whole number.": "Prefer nimmt wait=<Sekunden> als ganze Zahl.",
    '{header} takes entity tags in double quotes, such as "3", or a single asterisk.': (
        '{header} nimmt Entity-Tags in Anführungszeichen wie "3" oder einen einzelnen Stern.'
    ),
    "The Consistency-Token is not one that this system issued; send the header exactly as you received it.": (
        "Dieses Consistency-Token wurde nicht hier ausgestellt; bitte genau so senden, wie es kam."
    ),
    "The body is larger than this address accepts.": "Der Inhalt ist größer, als diese Adresse annimmt.",
    "The body is larger than the {limit} bytes that this address accepts.": (
        "Der Inhalt ist größer als die {limit} Bytes, die diese Adresse annimmt."
    ),
    "The request's header fields are larger or more than this server accepts.": (
        "Die Kopfzeilen der Anfrage sind größer oder zahlreicher, als dieser Server annimmt."
    ),
    "The body did not arrive in time.": "Der Inhalt kam nicht rechtzeitig an.",
    "The body's media type, charset or encoding is not one that this address takes.": (
        "Typ, Zeichensatz oder Kodierung des Inhalts nimmt diese Adresse nicht an."
    ),
    "This address takes {accepted} in UTF-8 without encoding.": (
        "Diese Adresse nimmt {accepted} in UTF-8 und ohne Kodierung."
    ),
    "This address takes no body.": "Diese Adresse nimmt keinen Inhalt.",
    "A query parameter is not one that this address knows.": (
        "Ein Parameter der Abfrage ist dieser Adresse nicht bekannt."
    ),
    "This address has no such parameter.": "Diese Adresse hat keinen solchen Parameter.",
    "This parameter may be given only once.": "Dieser Parameter darf nur einmal angegeben werden.",
    "The query is not UTF-8 text, or holds a NUL character or too many parameters.": (
        "Die Abfrage ist kein UTF-8-Text oder enthält ein NUL-Zeichen oder zu viele Parameter."
    ),
    "The object has changed since you read it: read it again and repeat your change.": (
        "Das Objekt wurde geändert, seit Sie es gelesen haben: bitte neu lesen und die Änderung wiederholen."
    ),
    "Others changed the object at the same moment; repeat the request.": (
        "Andere haben das Objekt im selben Augenblick geändert; bitte die Anfrage wiederholen."
    ),
    "This Idempotency-Key was used for a different request; choose a new key.": (
        "Dieser Idempotency-Key gehört zu einer anderen Anfrage; bitte einen neuen wählen."
    ),
    "The first request with this Idempotency-Key is still being worked on; repeat in a moment.": (
        "Die erste Anfrage mit diesem Idempotency-Key ist noch in Arbeit; bitte gleich wiederholen."
    ),
    "The request was carried out, but its answer held a secret and is not kept; sign in or ask for a new one.": (
        "Die Anfrage wurde ausgeführt, doch ihre Antwort enthielt ein Geheimnis und wird nicht aufbewahrt; "
        "bitte anmelden oder ein neues anfordern."
    ),
    "Too many requests; wait as long as Retry-After says.": (
        "Zu viele Anfragen; bitte so lange warten, wie Retry-After sagt."
    ),
    "What limits the rate of requests cannot be reached just now; try again in a moment.": (
        "Womit Anfragen gezählt werden, ist gerade nicht erreichbar; bitte gleich noch einmal versuchen."
    ),
    "The read model has not yet reached the position you asked for; try again in a moment.": (
        "Das Lesemodell hat die gewünschte Position noch nicht erreicht; bitte gleich noch einmal."
    ),
    "The read model of this object is parked by an event that it cannot handle; an operator has to look.": (
        "Das Lesemodell dieses Objekts ist durch ein unverständliches Ereignis angehalten; der Betrieb muss nachsehen."
    ),
    "The log was restored since this token was issued; read again without it.": (
        "Das Protokoll wurde wiederhergestellt, seit dieses Token ausgestellt wurde; bitte ohne es neu lesen."
    ),
    "Something this answer needs cannot be reached just now; try again in a moment.": (
        "Etwas, das diese Antwort braucht, ist gerade nicht erreichbar; bitte gleich noch einmal."
    ),
    "The person this is about has been erased.": "Die Person, um die es geht, wurde gelöscht.",
    "A business rule forbids this.": "Eine Regel verbietet das.",
    "The server cannot make sense of this request.": "Der Server kann mit dieser Anfrage nichts anfangen.",
    "Something went wrong on our side; the request's id helps to find out what.": (
        "Bei uns ist etwas schiefgegangen; die Kennung der Anfrage hilft, den Grund zu finden."
    ),
    "must not contain control characters": "darf keine Steuerzeichen enthalten",
    "must be a single line": "muss in einer Zeile stehen",
    "must be 1 to 63 lower-case letters, digits or inner hyphens": (
        "besteht aus 1 bis 63 Kleinbuchstaben, Ziffern und inneren Bindestrichen"
    ),
}

_VALIDATION = {
    "missing": "fehlt",
    "extra_forbidden": "ist hier nicht vorgesehen",
    "string_type": "muss ein Text sein",
    "string_too_short": "muss mindestens {min_length} Zeichen haben",
    "string_too_long": "darf höchstens {max_length} Zeichen haben",
    "string_pattern_mismatch": "hat nicht die verlangte Form",
    "int_type": "muss eine ganze Zahl sein",
    "int_parsing": "muss eine ganze Zahl sein",
    "int_from_float": "muss eine ganze Zahl sein",
    "float_type": "muss eine Zahl sein",
    "float_parsing": "muss eine Zahl sein",
    "bool_type": "muss wahr oder falsch sein",
    "bool_parsing": "muss wahr oder falsch sein",
    "dict_type": "muss ein Objekt sein",
    "list_type": "muss eine Liste sein",
    "model_attributes_type": "muss ein Objekt sein",
    "model_type": "muss ein Objekt sein",
    "too_short": "muss mindestens {min_length} Einträge haben",
    "too_long": "darf höchstens {max_length} Einträge haben",
    "greater_than_equal": "muss mindestens {ge} sein",
    "less_than_equal": "darf höchstens {le} sein",
    "greater_than": "muss größer als {gt} sein",
    "less_than": "muss kleiner als {lt} sein",
    "literal_error": "muss einer der Werte {expected} sein",
    "enum": "muss einer der Werte {expected} sein",
    "uuid_type": "muss eine UUID sein",
    "uuid_parsing": "muss eine UUID sein",
    "datetime_from_date_parsing": "muss ein Zeitpunkt nach RFC 3339 sein",
    "datetime_parsing": "muss ein Zeitpunkt nach RFC 3339 sein",
}

GERMAN: Mapping[str, str] = MappingProxyType(
    {**_TITLES, **_DETAILS, **{f"validation:{kind}": text for kind, text in _VALIDATION.items()}}
)
