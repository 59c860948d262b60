"""Real pure-Python library: sqlglot parse + generate (pure-Python tokenizer)."""
import sqlglot

from contract import run

SQL = [
    "SELECT a, b, COUNT(*) AS c FROM t1 JOIN t2 ON t1.id = t2.id WHERE a > 10 AND b LIKE 'x%' GROUP BY a, b HAVING COUNT(*) > 1 ORDER BY c DESC LIMIT 10",
    "WITH cte AS (SELECT x, SUM(y) OVER (PARTITION BY z ORDER BY w) AS s FROM u) SELECT CASE WHEN s > 1 THEN 'big' ELSE 'small' END AS k FROM cte",
    "INSERT INTO foo (a, b) SELECT DISTINCT a + 1, COALESCE(b, 0) FROM bar WHERE a IN (1, 2, 3) OR b BETWEEN 4 AND 9",
    "CREATE TABLE z (a INT, b VARCHAR(10) NOT NULL, c DECIMAL(10, 2) DEFAULT 0, PRIMARY KEY (a))",
]


def work(n):
    tot = 0
    for i in range(n):
        for q in SQL:
            tree = sqlglot.parse_one(q)
            tot += len(tree.sql(dialect="duckdb"))
    return tot


run(work, 350)
