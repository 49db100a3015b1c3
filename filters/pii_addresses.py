"""Mail and web addresses: what of a candidate is the address, without the punctuation around it."""

from __future__ import annotations

import re

from datassay.filters.pii_scan import MAX_DOMAIN_BYTES

_WORD = r"A-Za-z0-9\u00c0-\u05ff"
_EMAIL = re.compile(
    rf"(?P<local>[{_WORD}_+][{_WORD}._%+'&~-]{{0,63}})@(?P<domain>(?:[{_WORD}](?:[{_WORD}-]{{0,61}}[{_WORD}])?\.){{1,32}}"
    rf"(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z\u00c0-\u05ff]{{2,24}})(?![{_WORD}]))"
)
"""Without quoted local parts, comments and IP addresses as domains (RFC 5322), which people do not write in texts."""
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2}|[.%'&~-])+")
_NO_DOMAINS = frozenset(
    (
        *(
            "png",
            "jpg",
            "jpeg",
            "gif",
            "svg",
            "webp",
            "bmp",
            "ico",
            "tif",
            "tiff",
            "css",
            "js",
            "jsx",
            "ts",
            "tsx",
            "json",
        ),
        *(
            "html",
            "htm",
            "xml",
            "php",
            "asp",
            "aspx",
            "jsp",
            "pdf",
            "txt",
            "log",
            "csv",
            "exe",
            "dll",
            "mp3",
            "wav",
            "avi",
        ),
    )
)
"""Endings of files that follow an @, as in icon@2x.png; none is a top-level domain."""
_RESERVED = re.compile(
    r"(?:.*[@.])?(?:example\.(?:com|net|org)|[a-z0-9-]+\.(?:example|test|invalid|localhost|local))\Z", re.IGNORECASE
)
"""Domains of nobody (RFC 2606, 6761, 6762)."""

_SCHEMES = frozenset(("http", "https", "ftp", "ftps", "sftp", "ws", "wss", "rtmp", "rtsp", "git", "ssh", "svn", "irc"))
_HOST = re.compile(
    rf"(?:[{_WORD}._%+:~-]{{1,64}}@)?(?:[{_WORD}][{_WORD}_-]{{0,62}}\.){{0,32}}[{_WORD}][{_WORD}_-]{{0,62}}(?![{_WORD}@])"
    r"|\[[0-9A-Fa-f:.]{2,45}\]"
)
_BRACKETS = {")": "(", "]": "["}


def email_span(text: str) -> tuple[int, int] | None:
    """Where a mail address stands in a run of characters around one @; None if it is none.

    The domain ends in letters, as all top-level domains do. Escapes and signs before the first letter (`%20`, `'`)
    are no part of it, nor is a full stop behind it.
    """
    skipped = _ESCAPES.match(text)
    start = skipped.end() if skipped else 0
    match = _EMAIL.match(text, start)
    if match is None or match["local"].endswith(".") or len(match["domain"].encode()) > MAX_DOMAIN_BYTES:
        return None
    if match["domain"].rpartition(".")[2].lower() in _NO_DOMAINS:
        return None
    return match.span()


def is_reserved_email(address: str) -> bool:
    """Whether a mail address is at a domain that nobody has."""
    return bool(_RESERVED.match(address.rpartition("@")[2]))


def url_span(text: str) -> tuple[int, int] | None:
    """Where a web address stands in a run of characters that begins with a scheme or `www.`; None if it is none.

    Punctuation at the end belongs to the sentence, and so does a bracket that does not open within the address.
    """
    scheme, found, _ = text.partition("://")
    if found and scheme.lower() not in _SCHEMES:
        return None
    host_start = len(scheme) + 3 if found else 0
    host = _HOST.match(text, host_start)
    if host is None or (not found and host[0].count(".") < 2):
        return None
    return 0, max(_trimmed(text), host.end())


def _trimmed(text: str) -> int:
    """Where the text ends without the punctuation behind it; each bracket is counted once."""
    counts = {bracket: text.count(bracket) for pair in _BRACKETS.items() for bracket in pair}
    end = len(text)
    while end:
        last = text[end - 1]
        if last in _BRACKETS:
            if counts[last] <= counts[_BRACKETS[last]]:
                break
            counts[last] -= 1
        elif last in "([":
            counts[last] -= 1
        elif last not in ".,;:!?'*_~|$":
            break
        end -= 1
    return end
