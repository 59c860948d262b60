"""The standard library at work, for its calls to be compared: from `asdict` on nothing is imported any more."""
import argparse
import ast
import configparser
import csv
import dataclasses
import html.parser
import io
import json
import textwrap
import tokenize


@dataclasses.dataclass
class Point:
    x: int
    tags: list


class Parser(html.parser.HTMLParser):
    pass


point = Point(1, ["a"])
dataclasses.asdict(point)
dataclasses.replace(point, x=3)
json.dumps({"a": [1, 2, {"b": None}], "c": "é"}, indent=2)
json.loads('{"a": [1, 2.5, {"b": null}], "c": "\\u00e9"}')
parser = argparse.ArgumentParser(prog="x")
parser.add_argument("--x", type=int)
parser.add_argument("y", nargs="*")
parser.parse_args(["--x", "3", "a", "b"])
parser.format_help()
Parser().feed('<html><a href="x">t</a></html>' * 5)
config = configparser.ConfigParser()
config.read_string("[a]\nb=1\nc=%(b)s\n")
config.get("a", "c")
list(csv.DictReader(io.StringIO("a,b\n1,2\n")))
textwrap.fill("x y z " * 40)
ast.unparse(ast.parse("def f(a, b=2): return [x for x in a]"))
list(tokenize.generate_tokens(io.StringIO("a = 1\n").readline))
