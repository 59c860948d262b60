"""The questions, answered by DuckDB."""

import sys

import answers
import duckdb


def main(folder):
    connection = duckdb.connect()

    def table(name):
        return f"read_parquet('{folder}/{name}/**/*.parquet', hive_partitioning = true, union_by_name = true)"

    return lambda question: connection.sql(answers.named(question, table)).fetchall()


answers.give(main(sys.argv[1]))
