"""Nested values. A line that ends in #: has expressions that read as Python's eval() says, one that ends
in #? has some that code of the program decides, or that are not recorded."""
import collections
import sys

LIMIT = 3
NAMES = ["one", "two"]
changes = 0


class Item:
    kind = "item"

    def __init__(self, name, price):
        self.name = name
        self.price = price

    @property
    def twice(self):
        return 2 * self.price


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class Same:
    def __eq__(self, other):
        return True

    def __bool__(self):
        return False

    def __len__(self):
        return 7


class Order:
    def __init__(self, items):
        self.items = items
        self.next = None
        self.by_name = {item.name: item for item in items}
        self.me = self


def chain(length):
    first = None
    for at in range(length):
        first = [at, first]
    return first


def paths(order, rows):
    slotted = Slotted([1])
    i, j = 1, -2
    deep = chain(30)
    key = ("a", 1)
    table = {key: "tuple", 1: "int", "k": {"v": [1, 2, 3]}, None: 0, 2.5: b"float"}
    done = 1  #: order.items[1].price ; order.items[-1].name ; order.items[i].name ; order.items[j].price ; order.me.me.items[0].name ; order.by_name["pear"].price ; order.by_name[order.items[0].name].price
    done = 2  #: rows[-1]["name"] ; rows[0]['n'] ; rows[i]["tags"][-1] ; len(rows) ; len(rows[0]) ; rows
    done = 3  #: slotted.a ; slotted.a[0] ; slotted.b ; slotted.c ; order.nothing ; order.items[7] ; order.items[-4] ; rows[0]["no"] ; nothing ; order.items["x"] ; i[0] ; i.x ; rows[0][[]]
    done = 4  #: deep[1][1][1][1][1][1][1][1][1][1][1][1][0] ; deep[1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1][1]
    done = 5  #: table["a", 1] ; table[key] ; table[1] ; table[True] ; table[1.0] ; table["k"]["v"][2] ; table[None] ; table[2.5] ; table[5] ; table["k"]["v"][3]
    done = 6  #: type(order).__name__ ; type(rows) is list ; type(i) is bool ; type(i) is int ; type(order.items[0].price).__name__ ; type(None).__name__ ; type(slotted) is dict ; type(rows) is not tuple
    done = 7  #? order.items[0].twice ; order.items[0].kind ; type(order) is Order ; order.items[0].__class__
    order.items[1].price = 99
    done = 8  #: order.items[1].price ; order.by_name["apple"].price ; order.items[1] is order.by_name["apple"] ; order.items[1] is order.items[0] ; order.me is order ; order.next is None ; order.items is not None
    order.next = order.items.pop()
    done = 9  #: len(order.items) ; order.items[2] ; order.next.name ; order.next is order.by_name["fig"]
    del order.next
    done = 10  #: order.next ; order.items[0].name
    return done


def operators():
    zero, big, half, text, blob = 0, 10**40, 0.5, "naïve", b"\x00ab"
    empty, ones, pair, nested = [], [1, 1], (1, 2), [[1, [2]], {"a": (3,)}]
    some, none, yes = {1, 2, 3}, None, True
    frozen, ordered = frozenset("ab"), collections.OrderedDict(a=1, b=2)
    queue = collections.deque([1, 2, 3], maxlen=3)
    steps, imaginary, surrogate = range(10, 0, -3), 3 + 4j, "\ud800x"
    inf, nan = float("inf"), float("nan")
    done = 1  #: big + 1 ; big * big ; -big // 7 ; big % -7 ; big / 3 ; big == 10000000000000000000000000000000000000000 ; big > 1e40 ; big < 1e40 ; big == 1e40 ; -big ; big - big ; big / big ; 7 // -2 ; -7 % 3 ; 7 % -3 ; 2 / 3 ; big * 0.5 ; 1 / big ; big / 0 ; 1 % 0 ; 1.5 // 0
    done = 2  #: half + 1 ; half // 0.3 ; -half % 0.3 ; half == 1 / 2 ; 0.1 + 0.2 ; -0.0 ; 5.5 // -2 ; -5.5 % 2 ; 1e308 * 10 ; inf > big ; nan == nan ; nan != nan ; nan < 1 ; -1.0 // inf ; 9007199254740993 == 9007199254740992.0 ; 9007199254740993 > 9007199254740992.0 ; 1e22 == 10000000000000000000000 ; half < yes ; yes + yes ; -yes ; +half
    done = 3  #: text == "na\xefve" ; "aï" in text ; "" in text ; text < "nb" ; text[2] ; text[-1] ; len(text) ; text > "na" ; text != "x" ; blob[0] ; blob[1] ; 97 in blob ; b"ab" in blob ; blob == b"\0ab" ; blob < b"\1" ; text == blob ; surrogate ; surrogate[0] ; surrogate == "\ud800x" ; surrogate > "\uffff" ; 300 in blob ; 1 in text ; text[1:] ; text[::-1] ; text[-2:10] ; blob[1:2] ; blob[::-2] ; surrogate[:1]
    done = 4  #: not empty ; not ones ; not zero ; not half ; not text ; not none ; empty or pair ; ones and pair ; zero or empty or "last" ; ones and empty and 1 / 0 ; not not yes ; none or 0
    done = 5  #: ones == [1, 1] ; ones == [1, True] ; ones == (1, 1) ; pair == (1, 2.0) ; pair < (1, 3) ; pair < (1,) ; pair >= (1, 2) ; nested == [[1, [2]], nested[1]] ; nested[1]["a"] == (3.0,) ; nested[0] < [1, [3]] ; ones < pair ; [1, "a"] < [1, 2] ; [1, 2] == ones ; () == (1,) ; nested[1] == nested[0] ; ones[:1] ; pair[::-1] ; ones[5:] ; ones[-1:] ; nested[:] == nested ; ones[True:] ; ones["a":] ; ones[::0] ; ones if empty else pair ; 1 if ones else 1 / 0 ; [1, 2, 3][::2][1:]
    done = 6  #: 2 in some ; 2.0 in some ; 5 in some ; some == frozen ; some > frozen ; "a" in frozen ; "a" in ordered ; 1 in ordered ; [] in some ; [2] in nested[0] ; 3 not in queue ; queue[0] ; queue[-1] ; len(queue) ; ordered["b"] ; ordered == nested[1] ; queue == queue ; len(frozen)
    done = 7  #: steps[0] ; steps[-1] ; steps[4] ; len(steps) ; 7 in steps ; 8 in steps ; 7.0 in steps ; steps == steps ; imaginary == 3 ; imaginary != imaginary ; imaginary < 1 ; not imaginary ; 0 < zero + 1 < 2 ; 0 < 1 > 5 < 1 / 0 ; none is None ; zero is None ; yes is True ; yes is False ; none == None ; none == 0 ; none < 1 ; empty is None ; empty is ones ; empty is empty
    same, other = Same(), Same()
    done = 8  #? same == 1 ; same == same ; same or 1 ; len(same) ; same in ones ; same < 1 ; 1 in [same] ; [same] == [1] ; nan is nan ; [nan] == [nan] ; half is half
    done = 9  #: 1 in [1, same] ; same is other ; same is same ; same is not None ; [same] == [1, 2] ; type(same).__name__ ; len([same]) ; type(same) is int
    done = 10  #: (1, "a", None) ; [1, [big]] ; () ; (1,) ; "it's" ; b'"' ; 0x1f ; 1_000 ; 0b11 ; .5 ; 1e3 ; "a" "b" ; r"\n" ; '\t\x41\u00e9\101' ; ... ; -(-3) ; (1 + 2) * 3 ; 2 - 1 - 1 ; 2 * 3 + 4 // 3
    return done


def cuts():
    many, letters, numbers = list(range(5000)), "ab" * 5000, {n: n for n in range(300)}
    huge = 7**5000
    done = 1  #: many[0] ; many[49] ; many[3000] ; many[-1] ; numbers[299] ; 4000 in many ; 299 in numbers ; len(many) ; len(letters) ; letters[3] ; not many ; not letters ; len(numbers) ; numbers[3] ; many == [1] ; letters == "ab" ; letters < "b" ; "ab" in letters ; 5 in many ; many > [0, 0] ; many[5000] ; many is None ; letters[10000] ; many < [0, 1]
    done = 2  #? letters[500] ; huge == 1 ; "ba" * 1 in many ; many == many + many ; "x" in letters
    return done


def stores_beyond():
    far, table, rows = [0] * 300, {n: n for n in range(200)}, [[n] for n in range(150)]
    far[170] = "x"
    table[150] = "y"
    table["new"] = 2.5
    rows[120].append("z")
    done = 1  #: far[170] ; far[169] ; far[-1] ; len(far) ; table[150] ; table[151] ; table["new"] ; len(table) ; rows[120] ; rows[-1][0] ; rows[52][0]
    del far[10]
    del table[160]
    far.append(rows[3])
    rows.append(None)
    done = 2  #: far[169] ; far[170] ; far[-1] ; len(far) ; far[10] ; 160 in table ; len(table) ; table[161] ; rows[-1] ; len(rows) ; rows[149]
    far.pop()
    far[60:63] = [7, 8]
    done = 3  #: far[60] ; far[61] ; far[62] ; far[168] ; len(far)
    return done


def globals_seen(n):
    global changes
    def within():
        return n  #: n ; LIMIT + n ; changes ; NAMES[0]
    changes = changes + n
    done = 1  #: LIMIT ; NAMES[-1] ; len(NAMES) ; changes ; n > LIMIT ; LIMT ; type(Order).__name__
    within()
    return read() + done


def read():
    return LIMIT  #: changes ; LIMIT + 1


def shadows(len, type):
    done = 1  #? len([1]) ; type(1) ; type(len) is int
    return done


items = [Item("apple", 5), Item("pear", 2.5), Item("fig", 1)]
items.sort(key=lambda item: item.name)
order = Order([items[2], items[0], items[1]])
rows = [{"name": "x", "n": 1}, {"name": "y", "n": 2, "tags": ["t", "u"]}]
paths(order, rows)
operators()
cuts()
stores_beyond()
for number in (2, 5):
    globals_seen(number)
    LIMIT = LIMIT + 1  #: LIMIT ; changes ; number ; order.items[0].name ; items[1].price ; nothing
NAMES.append("three")
shadows(1, 2)
read()
