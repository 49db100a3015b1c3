"""What a model calls a language, as ISO 639 and ISO 15924 codes, and the scripts that a language is written in.

Models differ: lid.176 says `en`, GlotLID and NLLB `eng_Latn`, others `eng-Latn`. Here each language has one name: its
code of ISO 639-1 where it has one, else that of ISO 639-3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from datassay.corpus.scripts import SAME_SCRIPT

_TWO_LETTERS = """
aar:aa abk:ab afr:af aka:ak amh:am ara:ar arg:an asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm bel:be ben:bn
bis:bi bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu chv:cv cor:kw cos:co cre:cr cym:cy dan:da
deu:de div:dv dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff
gla:gd gle:ga glg:gl glv:gv grn:gn guj:gu hat:ht hau:ha hbs:sh heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy
ibo:ig ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka
kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln
lit:lt ltz:lb lub:lu lug:lg mah:mh mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv
nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi
pol:pl por:pt pus:ps que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm sna:sn
snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg
tgl:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo
wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
_MEMBERS = """
als:sq arb:ar azj:az cmn:zh ekk:et gaz:om khk:mn kmr:ku lvs:lv npi:ne ory:or pbt:ps pes:fa plt:mg swh:sw uzn:uz
ydd:yi zsm:ms
"""


def _pairs(lines: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in lines.split())


TWO_LETTERS: Mapping[str, str] = _pairs(_TWO_LETTERS)
"""ISO 639-3 to ISO 639-1: all 184 pairs, as Debian's iso-codes 4.15 lists them."""
MEMBERS: Mapping[str, str] = _pairs(_MEMBERS)
"""The member of a macrolanguage of ISO 639-3 that GlotLID and NLLB name where other models name the macrolanguage."""

WIKIPEDIA = {"als": "gsw"}
"""What lid.176, which names languages as Wikipedia does, says otherwise than ISO 639: its `als` is Alemannic, ISO's
Tosk Albanian. Labels with a script are never Wikipedia's."""

_SCRIPTS = """
Arab: ar arz az azb ckb fa kk ku ky lrc ms mzn pa pnb ps sd tg ug ur uz
Armn: hy
Beng: as bn bpy
Cyrl: av az ba be bg bs bxr ce cv kk krc ku kv ky lez mhr mk mn mrj myv os ro ru rue sah sh sr tg tk tt tyv ug uk uz xal
Deva: bh dty gom hi hif mai mr ne new sa sd
Ethi: am
Geor: ka xmf
Grek: el
Gujr: gu
Guru: pa
Hang: ko
Hani: ja wuu yue zh
Hebr: he yi
Jpan: ja
Khmr: km
Knda: kn
Laoo: lo
Latn: af an ast az bar bcl br bs ca cbk ceb co cs cy da de diq dsb eml en eo es et eu fi fr frr fy ga gd gl gn gom gsw
Latn: gv hif hr hsb ht hu ia id ie ilo io is it jbo jv kk ku kw la lb li lmo lt lv mg min ms mt mwl nah nap nds nl nn no
Latn: nb oc pam pfl pl pms pt qu rm ro sc scn sco sh sk sl so sq sr su sv sw tg tk tl tr tt ug uz vec vep vi vls vo wa
Latn: war yo
Mlym: ml
Mong: mn
Mymr: my
Orya: or
Sinh: si
Taml: ta
Telu: te
Thaa: dv
Thai: th
Tibt: bo
"""


def _scripts_by_language() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _SCRIPTS.strip().splitlines():
        script, languages = line.split(":")
        for language in languages.split():
            found.setdefault(language, set()).add(script)
    return {language: frozenset(scripts) for language, scripts in found.items()}


SCRIPTS_OF: Mapping[str, frozenset[str]] = _scripts_by_language()
"""The scripts in which each language of lid.176 is published today, those of its second orthographies included.

Romanised Hindi or Russian is no text of its language here: lid.176 does not know it as such.
"""


class Label(NamedTuple):
    """What a model's label says."""

    language: str
    """Code of ISO 639-1, or 639-3 where there is none; the label itself where it is no such code."""
    script: str | None
    """Code of ISO 15924, as the label has it; None if it has none."""

    @property
    def scripts(self) -> frozenset[str] | None:
        """The scripts, as `corpus.scripts` counts them, of texts with this label; None if not known."""
        if self.script is None:
            return SCRIPTS_OF.get(self.language)
        script = SAME_SCRIPT.get(self.script, self.script)
        return frozenset({script, "Hani"}) if script == "Jpan" else frozenset({script})


def parse_label(label: str) -> Label:
    """What a fastText label says: `__label__en`, `__label__eng_Latn`, `__label__eng-Latn`, `__label__zho_Hans`…"""
    name = label.removeprefix("__label__")
    match = re.fullmatch(r"([a-z]{2,3})(?:[_-]([A-Z][a-z]{3}))?", name)
    if match is None:
        return Label(name, None)
    code, script = match.groups()
    other_names = WIKIPEDIA if script is None else MEMBERS
    return Label(other_names.get(code) or TWO_LETTERS.get(code, code), script)


def has_twins(labels: Iterable[Label]) -> bool:
    """Whether two labels name one language, such as zho_Hans and zho_Hant."""
    languages = [label.language for label in labels]
    return len(set(languages)) < len(languages)
