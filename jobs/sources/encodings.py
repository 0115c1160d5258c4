"""Names of text encodings: what people and programs call them, and what Java calls the same."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

from pyspark.sql import SparkSession

from strata.conf.banks.feeds import WIDER
from strata.jobs.runtime.errors import UsageError

# The names that a message offers; every other name that Python knows is taken too.
USUAL = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "gb18030")
# Where Java has other tables under Python's name.
JAVA = {"cp932": "windows-31j", "cp949": "x-windows-949", "cp950": "x-windows-950"}
WIDE = ("utf-16", "utf-32")
SIGNS = "\r\n\"',;:|\t .0123456789"


def python_name(encoding: str) -> str:
    """Python's name of an encoding, such as gb18030 for ``GBK``, cp1252 for ``Windows-1252``.

    Raises ``UsageError`` when Python has no such text encoding, or one whose line ends and digits are not those of
    ASCII (EBCDIC), which Python and Java read differently.
    """
    try:
        found = codecs.lookup(encoding.strip()).name
        name = WIDER.get(found, found)
        is_plain = SIGNS.encode(name) == SIGNS.encode("ascii")
    except (LookupError, ValueError):
        raise UsageError(
            f"--encoding: {encoding!r} is none of {', '.join(USUAL)}, and no other encoding that is known"
        ) from None
    if not (is_plain or name.startswith(WIDE)):
        raise UsageError(f"--encoding: {encoding!r} does not extend ASCII; save the file as UTF-8")
    return name


def cuts_at_line_ends(encoding: str) -> bool:
    """Whether files of this encoding can be cut at the bytes of line ends."""
    return not encoding.startswith((*WIDE, "iso2022"))


def java_name(spark: SparkSession, encoding: str) -> str:
    """Java's name of an encoding that ``python_name`` returned. Raises ``UsageError`` when Java has none."""
    charsets = spark._jvm.java.nio.charset.Charset
    known_as = [name for name, codec in aliases.items() if codec == aliases.get(_key(encoding), _key(encoding))]
    for name in (JAVA.get(encoding, encoding), *known_as):
        for spelling in (name, name.replace("_", "-"), name.replace("_", "").replace("-", "")):
            if spelling[0].isalnum() and charsets.isSupported(spelling):
                return str(charsets.forName(spelling).name())
    raise UsageError(f"--encoding: {encoding!r} is not known to Java, which reads the rows; save the file as UTF-8")


def _key(encoding: str) -> str:
    return encoding.lower().replace("-", "_")
