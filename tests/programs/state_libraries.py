"""The standard library at work on a fixed input, its pure-Python parts: for the variables of its own functions."""
import argparse
import configparser
import dataclasses
import difflib
import heapq
import html.parser
import io
import json
import json.decoder
import json.encoder
import json.scanner
import string
import textwrap


def encode(value, **options):
    """What json.dumps does where there is no C encoder."""
    fast, json.encoder.c_make_encoder = json.encoder.c_make_encoder, None
    try:
        # What it knows cycles by are addresses.
        return "".join(json.JSONEncoder(check_circular=False, **options).iterencode(value))
    finally:
        json.encoder.c_make_encoder = fast


def decode(text):
    """What json.loads does where there is no C scanner."""
    decoder = json.JSONDecoder()
    decoder.parse_string = json.decoder.py_scanstring
    decoder.scan_once = json.scanner.py_make_scanner(decoder)
    return decoder.decode(text)


@dataclasses.dataclass(order=True)
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list, compare=False)


@dataclasses.dataclass(frozen=True)
class Line:
    start: Point
    end: Point


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.depth = [], 0

    def handle_starttag(self, tag, attrs):
        self.depth += 1
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.found.append(data.strip())


class Arithmetic:
    """A small recursive-descent parser."""

    def __init__(self, text):
        self.text, self.at = text.replace(" ", ""), 0

    def expression(self):
        left = self.term()
        while self.peek() in ("+", "-"):
            sign = self.take()
            left = [sign, left, self.term()]
        return left

    def term(self):
        left = self.factor()
        while self.peek() in ("*", "/"):
            sign = self.take()
            left = [sign, left, self.factor()]
        return left

    def factor(self):
        if self.peek() == "(":
            self.take()
            inner = self.expression()
            self.take()
            return inner
        digits = ""
        while self.peek().isdigit():
            digits += self.take()
        return int(digits)

    def peek(self):
        return self.text[self.at:self.at + 1]

    def take(self):
        taken = self.peek()
        self.at += 1
        return taken


def arguments():
    parser = argparse.ArgumentParser(prog="x", description="An example. " * 5)
    parser.add_argument("--size", type=int, default=3, help="how large it is")
    parser.add_argument("names", nargs="*")
    commands = parser.add_mutually_exclusive_group()
    commands.add_argument("-v", action="count")
    commands.add_argument("-q", action="store_true")
    found = parser.parse_args(["--size", "4", "-vv", "a", "b"])
    return sorted(vars(found).items()), len(parser.format_usage())


def configuration():
    config = configparser.ConfigParser()
    config.read_string("[a]\nb = 1\nc = %(b)s, two\n  lines\n; comment\n[d]\ne: yes\n")
    config["d"]["f"] = "7"
    out = io.StringIO()
    config.write(out)
    return config.get("a", "c"), config.getboolean("d", "e"), out.getvalue()


document = {"a": [1, 2.5, {"b": None, "c": [True, False]}], "d": "é\n\\", "e": {}, "f": []}
written = encode(document)
print(written, encode(document, indent=2, sort_keys=True, ensure_ascii=False))
print(decode(written) == document, decode('[-1.5e3, "\\ud83d\\ude00\\t", {"k": [null, NaN]}]'))
line = Line(Point(1, ["a"]), Point(2))
print(dataclasses.asdict(line), dataclasses.replace(line, end=Point(3)).end.x, Point(1) < Point(2))
print(dataclasses.astuple(line))
links = Links()
links.feed('<html><a href="x" id=1>one</a><br/><!-- no --><p class=\'y\'>&amp; two &#65;</p>' * 2)
links.close()
print(links.found, links.depth)
print(Arithmetic("1 + 2 * (3 - 4) / 5 - (6)").expression())
print(arguments(), configuration())
print(textwrap.fill("The quick brown fox jumps over the-lazy-dog. " * 3, 30), textwrap.dedent("  a\n    b\n\n  c"))
print(textwrap.shorten("many words that do not fit", 15), textwrap.indent("a\nb", "> "))
print(string.Template("$a ${b} $$ $c").safe_substitute(a=1, b=[2]), string.capwords("two words"))
before, after = "a b c d e f".split(), "a c d x f g".split()
print(list(difflib.unified_diff(before, after, lineterm="")), list(difflib.ndiff(["one\n"], ["ore\n"])))
print(difflib.SequenceMatcher(None, "abcd", "bcde").ratio(), difflib.get_close_matches("appel", ["ape", "apple"]))
print(heapq.nlargest(3, [5, 1, 8, 2], key=lambda x: -x), heapq.nsmallest(2, "hello"), list(heapq.merge([1, 4], [2, 3])))
