"""The questions, answered by chDB, which is ClickHouse in a process."""

import json
import sys

import answers
import chdb

SETTINGS = """settings use_hive_partitioning = 1, output_format_json_quote_64bit_integers = 0, join_use_nulls = 1"""


def main(folder):
    def table(name):
        return f"file('{folder}/{name}/**/*.parquet', Parquet)"

    def answer(question):
        text = str(chdb.query(f"{answers.named(question, table)} {SETTINGS}", "JSONCompactEachRow"))
        return [json.loads(line) for line in text.splitlines()]

    return answer


answers.give(main(sys.argv[1]))
