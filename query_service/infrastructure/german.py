"""What the plumbing of this side says, in German; keys are the English texts and templates."""

from collections.abc import Mapping
from types import MappingProxyType

GERMAN: Mapping[str, str] = MappingProxyType(
    {
        "The log was restored since this cursor was issued; begin with the first page.": (
            "Das Protokoll wurde wiederhergestellt, seit dieser Cursor ausgegeben wurde; beginnen Sie mit Seite eins."
        ),
        "The log was restored; this read model is being built again from it.": (
            "Das Protokoll wurde wiederhergestellt; dieses Lesemodell wird gerade neu daraus gebaut."
        ),
        "The read model has reached position {reached}, you asked for {asked}: it is {lag} behind.": (
            "Das Lesemodell ist bei Position {reached}, gefragt war {asked}: Es liegt {lag} zurück."
        ),
        "The read models cannot be reached just now; try again in a moment.": (
            "Die Lesemodelle sind gerade nicht erreichbar; bitte gleich noch einmal versuchen."
        ),
        "is not a cursor of this list; take it unchanged from the Link header, with the same filters": (
            "ist kein Cursor dieser Liste; bitte unverändert aus Link übernehmen, mit denselben Filtern"
        ),
    }
)
