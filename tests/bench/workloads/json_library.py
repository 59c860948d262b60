"""The standard library's json with its C accelerators off: real library code, both ways."""
import json.decoder
import json.encoder
import json.scanner

from contract import run

json.encoder.c_make_encoder = None
json.encoder.encode_basestring_ascii = json.encoder.py_encode_basestring_ascii


class Decoder(json.decoder.JSONDecoder):
    def __init__(self):
        super().__init__()
        self.parse_string = json.decoder.py_scanstring
        self.scan_once = json.scanner.py_make_scanner(self)


SIMPLE = {"key1": 0, "key2": True, "key3": "value", "key4": "foo", "key5": None}
DATA = [{"id": i, "name": f"näme {i}", "nested": SIMPLE, "list": [1.5, [i], {}]} for i in range(10)]


def kernel(n):
    encoder, decoder = json.encoder.JSONEncoder(), Decoder()
    total = 0
    for _ in range(n):
        text = encoder.encode(DATA)
        assert decoder.decode(text) == DATA
        total += len(text)
    return total


run(kernel, 600)
