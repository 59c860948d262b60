"""A large library of pure Python: sqlglot parsing SQL and writing it again."""
import sqlglot
from contract import run

STATEMENTS = [
    "SELECT a, COUNT(*) AS c FROM t JOIN u ON t.id = u.id WHERE a > 10 AND b LIKE 'x%' GROUP BY a ORDER BY c DESC",
    "WITH w AS (SELECT x, SUM(y) OVER (PARTITION BY z) AS s FROM v) SELECT CASE WHEN s > 1 THEN 'big' END FROM w",
    "CREATE TABLE z (a INT, b VARCHAR(10) NOT NULL, c DECIMAL(10, 2) DEFAULT 0, PRIMARY KEY (a))",
]


def kernel(n):
    return sum(len(sqlglot.parse_one(s).sql(dialect="duckdb")) for _ in range(n) for s in STATEMENTS)


run(kernel, 110)
