"""The questions, answered by polars."""

import sys

import answers
import polars


def main(folder):
    def frame(name):
        return polars.scan_parquet(f"{folder}/{name}/", hive_partitioning=True, missing_columns="insert", extra_columns="ignore")

    context = polars.SQLContext({name: frame(name) for name in answers.TABLES})
    return lambda question: context.execute(answers.named(question, str), eager=True).rows()


answers.give(main(sys.argv[1]))
