"""URLs as keys: two spellings of a URL that a server would answer with the same page have one key.

Syntax-based and scheme-based normalisation are RFC 3986, section 6.2.2 and 6.2.3; scheme, `www.`, slash, order of
parameters, tracking and sessions are what crawlers' indexes do beyond it (as the Internet Archive's SURT keys, which
also lower the case of paths; we do not, for servers may tell them apart). datatrove and dolma compare URLs as they are.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

import idna
from pydantic import BaseModel

TRACKING_PARAMETERS = (
    *("utm_*", "mtm_*", "matomo_*", "pk_*", "piwik_*", "hsa_*", "_hs*", "__hs*", "vero_*", "oly_*", "_openstat"),
    *("gclid", "gclsrc", "dclid", "gbraid", "wbraid", "_ga", "_gl", "fbclid", "msclkid", "twclid", "ttclid"),
    *("yclid", "ysclid", "igshid", "li_fat_id", "mc_cid", "mc_eid", "mkt_tok", "s_kwcid", "srsltid"),
)
"""Parameters that tell where a visitor came from: analytics (Google, Matomo, HubSpot), advertisements, newsletters.
Names that some site may mean otherwise, such as `ref`, `source` or `si`, are not among them."""
SESSION_PARAMETERS = (
    *("phpsessid", "jsessionid", "aspsessionid*", "asp.net_sessionid", "cfid", "cftoken"),
    *("sessionid", "session_id", "sessid"),
)
"""Parameters that name a visit. `sid` may name a story, `session` a talk; they are not among them."""

DEFAULT_PORTS = {"http": 80, "https": 443}
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_WEB = re.compile(r"https?://", re.IGNORECASE)
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})?")
_NO_HOST = re.compile(r"[\s\x00-\x20<>\"\\^`{|}%]")
"""What no name of a host holds."""
_KEPT = "!$&'()*+,;=:@/?#[]%"
"""Reserved characters, which stay as they are, and the mark of what is escaped already."""
_PATH_SESSION = re.compile(r";jsessionid=[^/;?#]*", re.IGNORECASE)
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|php|aspx?|jsp|cgi)$", re.IGNORECASE)


class UrlKeys(BaseModel, frozen=True, extra="forbid"):
    """Documents of one URL are copies. The defaults ignore only what servers hardly ever answer differently."""

    ignore_scheme: bool = True
    """`http` and `https` are the same."""
    ignore_www: bool = True
    """With or without `www.` before the host."""
    ignore_trailing_slash: bool = True
    """With or without `/` at the end of the path."""
    ignore_parameters: tuple[str, ...] = (*TRACKING_PARAMETERS, *SESSION_PARAMETERS)
    """Parameters that do not count, as patterns in which `*` stands for anything; upper and lower case are the same."""
    ignore_query: bool = False
    """Nothing behind `?` counts."""
    sort_query: bool = True
    """The order of parameters does not count, but for that of one name."""
    ignore_index: bool = False
    """`/index.html` and its like are the folder's page."""
    ignore_case: bool = False
    """Upper and lower case are the same in paths and queries, as in the Internet Archive's index."""


def url_key(url: str, settings: UrlKeys) -> str | None:
    """The URL in the one form that all its spellings share; None if it is no URL of the web (http, https) with a host.

    A fragment does not count, unless it is one that names a page (`#!`, `#/`). Without scheme the key begins with `//`.
    """
    url = url.strip()
    if not _WEB.match(url):
        return None
    try:
        parts = urlsplit(url)
        host = _host(parts, settings)
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        return None
    if not host or _NO_HOST.search(host):
        return None
    scheme = "" if settings.ignore_scheme else f"{parts.scheme}:"
    fragment = f"#{_escaped(parts.fragment)}" if parts.fragment[:1] in ("!", "/") else ""
    below = _path(parts.path, settings) + _query(parts.query, settings) + fragment
    return f"{scheme}//{host}{below.lower() if settings.ignore_case else below}"


def _host(parts: SplitResult, settings: UrlKeys) -> str:
    """User, host in lower case and ASCII, and a port that is not the scheme's own. Raises ValueError for no port."""
    host = (parts.hostname or "").removesuffix(".")
    if not host.isascii():
        host = _ascii_host(host)
    if settings.ignore_www and host.startswith("www.") and host.count(".") > 1:
        host = host.removeprefix("www.")
    if ":" in host:
        host = f"[{host}]"
    user, at, _ = parts.netloc.rpartition("@")
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{user}{at}{host}{port}" if host else ""


def _ascii_host(host: str) -> str:
    """A host of other letters in the form that is looked up (UTS 46); as it is, if it has none."""
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


def _escaped(text: str) -> str:
    """Escapes in upper case, only of characters that need them, and of all that do (RFC 3986, section 6.2.2)."""
    if text.isascii() and "%" not in text and " " not in text:
        return text

    def unescaped(found: re.Match[str]) -> str:
        character = chr(int(found[1] or "25", 16))  # a % that escapes nothing stands for itself
        return character if character in UNRESERVED else f"%{ord(character):02X}"

    return quote(_ESCAPED.sub(unescaped, text), safe=_KEPT, errors="replace")


def _path(path: str, settings: UrlKeys) -> str:
    path = _without_dots(_escaped(path))
    if _ignored(settings.ignore_parameters).match("jsessionid"):
        path = _PATH_SESSION.sub("", path)
    if settings.ignore_index:
        path = _INDEX.sub("/", path)
    if settings.ignore_trailing_slash:
        return path.rstrip("/")
    return path or "/"


def _without_dots(path: str) -> str:
    """The path without segments `.` and `..` (RFC 3986, section 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    end = "/" if segments[-1] in (".", "..") and kept else ""
    return "/" + "/".join(kept) + end


def _query(query: str, settings: UrlKeys) -> str:
    if not query or settings.ignore_query:
        return ""
    parameters = [_escaped(parameter) for parameter in query.split("&") if parameter]
    names = [parameter.partition("=")[0] for parameter in parameters]
    ignored = _ignored(settings.ignore_parameters)
    kept = [found for found in zip(names, parameters, strict=True) if not ignored.match(found[0])]
    if settings.sort_query:
        kept.sort(key=lambda found: found[0])  # stable: the values of one name keep their order
    return "?" + "&".join(parameter for _, parameter in kept) if kept else ""


@lru_cache(maxsize=8)
def _ignored(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the names of the parameters that do not count."""
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)", re.IGNORECASE)
