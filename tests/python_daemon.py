"""Spark's daemon of Python workers, without archives on its path and with pandas and Arrow loaded before it forks.

Before each task a worker calls ``importlib.invalidate_caches``, which reads the lists of all archives on its path anew,
of ``pyspark.zip`` and of Spark's own jar with its thousands of classes. That took longer than most tasks of the tests.
The modules in the archives also lie unpacked in the environment.
"""

from __future__ import annotations

import sys
from importlib import import_module

if __name__ == "__main__":
    sys.path[:] = [place for place in sys.path if not place.endswith((".zip", ".jar"))]
    sys.path_importer_cache.clear()
    for name in ("pandas", "pyarrow"):
        import_module(name)
    import_module("pyspark.daemon").manager()
