"""What the engines have in common: questions in, answers out, as JSON."""

import json
import re
import sys

TABLES = [
    "runs", "events", "calls", "exceptions", "variables", "mutations", "line_counts", "function_totals",
]  # fmt: skip


def named(question, table):
    """The question with a name for each {table}."""
    return re.sub(r"\{(\w+)\}", lambda match: table(match[1]), question)


def give(answer):
    """Answers each question that standard input has."""
    questions = json.load(sys.stdin)
    json.dump({name: [list(row) for row in answer(sql)] for name, sql in questions.items()}, sys.stdout)
