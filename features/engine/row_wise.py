"""Whether a function on a table makes each row of that row alone, by the analysed plan and without running a job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.rdd import PythonEvalType
from pyspark.sql import DataFrame

# Nodes of Spark's logical plan that make each row of one row, or leave rows as they are.
_ROW_WISE = frozenset(
    {
        "Filter",
        "Generate",
        "Project",
        "RebalancePartitions",
        "Repartition",
        "RepartitionByExpression",
        "ResolvedHint",
        "Sort",
        "SubqueryAlias",
    }
)
_ROW_WISE_UDF = (PythonEvalType.SQL_BATCHED_UDF, PythonEvalType.SQL_ARROW_BATCHED_UDF)


def operation_across_rows(source: DataFrame, rows: DataFrame) -> str | None:
    """The first operation between ``source`` and ``rows``, made from it, that sees more than one row; ``None`` if none.

    The analysed plan of ``rows`` is read from its end down to that of ``source``. Columns, filters and exploded
    arrays are allowed, and so are orders and partitions of rows, which change none. Everything else is named as
    Spark names it: ``Window``, ``Aggregate``, ``Join``, ``Deduplicate``, ``GlobalLimit``, ``Sample``, ``Union`` …;
    or it is a ``subquery``, a ``pandas_udf`` (which sees a batch of rows), a ``random or unrepeatable expression``,
    or ``another table``, where the plan doesn't end at ``source``. What a Python function reads besides its
    arguments isn't seen.

    Example: of ``rows(id, paid)``, ``withColumn("late", expr("paid > 3"))`` gives ``None``;
    ``withColumn("share", paid / sum(paid).over(id))`` gives ``Window``; ``dropDuplicates()`` gives ``Deduplicate``.
    Cost: no job; a few calls to the JVM for each node of the plan.
    """
    end, node = _analysed(source), _analysed(rows)
    while not node.equals(end):
        if found := _refused(node):
            return found
        node = node.children().head()
    return None


def _analysed(rows: DataFrame) -> Any:
    return rows._jdf.queryExecution().analyzed()


def _refused(node: Any) -> str | None:
    """What is wrong with one node of the plan; a node without children is not the source."""
    if node.children().isEmpty():
        return "another table"
    name = str(node.nodeName())
    if name not in _ROW_WISE:
        return name
    if not node.subqueries().isEmpty():
        return "subquery"
    expressions = list(_items(node.expressions()))
    if not all(expression.deterministic() for expression in expressions):
        return "random or unrepeatable expression"
    if any(_sees_batches(expression) for expression in expressions):
        return "pandas_udf"
    return None


def _sees_batches(expression: Any) -> bool:
    """Whether a Python function in the expression is given many rows at once."""
    if str(expression.nodeName()) == "PythonUDF" and int(expression.evalType()) not in _ROW_WISE_UDF:
        return True
    return any(_sees_batches(child) for child in _items(expression.children()))


def _items(sequence: Any) -> Iterator[Any]:
    return (sequence.apply(place) for place in range(int(sequence.size())))
