"""Pure-Python standard library at work; compared in all of its code, not only here."""
import argparse
import collections
import dataclasses
import json
import json.encoder
import re
import textwrap


@dataclasses.dataclass(order=True)
class Item:
    name: str
    price: float = 1.0
    tags: list = dataclasses.field(default_factory=list)


items = [Item("pear", 2.0, ["fruit"]), Item("fig")]
text = json.dumps([dataclasses.asdict(item) for item in sorted(items)], indent=2)
print(text, json.loads(text) == [dataclasses.asdict(item) for item in sorted(items)])
parser = argparse.ArgumentParser(prog="demo")
parser.add_argument("--count", type=int, default=2)
parser.add_argument("names", nargs="*")
print(parser.parse_args(["--count", "3", "a", "b"]))
print(textwrap.fill("the quick brown fox jumps over the lazy dog " * 3, width=30))
print(re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)|x*y+?").sub(lambda m: m.group(0)[::-1], "2024-05 xy"))
print(collections.namedtuple("P", "x y")(1, 2)._replace(x=3), collections.Counter("abca").most_common(1))
