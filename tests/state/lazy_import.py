lazy import json
before = 1
text = json.dumps([1])
found = json
after = 2
