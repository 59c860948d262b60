"""Pure-Python JSON encode + decode (C accelerators off)."""
import json
import json.encoder
import json.decoder
import json.scanner

from contract import run

json.encoder.c_make_encoder = None
json.encoder.encode_basestring_ascii = json.encoder.py_encode_basestring_ascii
json.decoder.scanstring = json.decoder.py_scanstring

EMPTY = ({}, 200)
SIMPLE = ({'key1': 0, 'key2': True, 'key3': 'value', 'key4': 'foo',
           'key5': 'string'}, 100)
NESTED = ({'key1': 0, 'key2': SIMPLE[0], 'key3': 'value', 'key4': SIMPLE[0],
           'key5': SIMPLE[0], 'key': '\u0105\u0107\u017c'}, 100)
HUGE = ([NESTED[0]] * 100, 1)


class PyDecoder(json.decoder.JSONDecoder):
    def __init__(self):
        super().__init__()
        self.parse_string = json.decoder.py_scanstring
        self.scan_once = json.scanner.py_make_scanner(self)


def work(n):
    enc = json.JSONEncoder()
    dec = PyDecoder()
    tot = 0
    for _ in range(n):
        for data in (SIMPLE[0], NESTED[0], HUGE[0][:10]):
            s = enc.encode(data)
            tot += len(s)
            back = dec.decode(s)
            assert back == data
    return tot


run(work, 1100)
