"""A host of the extension: host.py MODULE EXTENSION DB [SETUP] reads statements from its standard input, a
JSON array of strings, and prints a JSON array of the rows of each."""

import importlib
import json
import sys


def connect(module, extension, db):
    library = importlib.import_module(module)
    if module == "apsw":
        connection = library.Connection(db)
        connection.enable_load_extension(True)
        connection.load_extension(extension)
        return connection
    connection = library.connect(db)
    connection.enable_load_extension(True)
    connection.load_extension(extension)
    connection.enable_load_extension(False)
    return connection


if __name__ == "__main__":
    module, extension, db, *setup = sys.argv[1:]
    connection = connect(module, extension, db)
    for statement in setup:
        list(connection.execute(statement))
    print(json.dumps([list(map(list, connection.execute(sql))) for sql in json.load(sys.stdin)]))
