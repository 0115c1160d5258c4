"""Spark's daemon of Python workers: Spark's archives are off its path, pandas and Arrow loaded before it forks.

Before each task a worker calls ``importlib.invalidate_caches``, which reads the lists of all archives on its path anew:
of ``pyspark.zip``, Py4J's, and Spark's own jar with its thousands of classes. On small data that takes longer than the
tasks themselves. What is in the archives also lies unpacked in the environment, so nothing is missing without them.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module

SPARKS_OWN = re.compile(r"(pyspark|py4j-[\w.]+-src)\.zip$|\.jar$")

if __name__ == "__main__":
    sys.path[:] = [place for place in sys.path if not SPARKS_OWN.search(place)]
    sys.path_importer_cache.clear()
    for name in ("pandas", "pyarrow"):
        import_module(name)
    import_module("pyspark.daemon").manager()
