"""One event with more to tell than a record of values holds: nested containers, and a module of many variables."""


def size(*graphs):
    return sum(len(graph) for graph in graphs)


def graphs(nodes, near):
    one = {i: {j: {} for j in range(near)} for i in range(nodes)}
    lists = [[[] for j in range(near)] for i in range(nodes)]
    texts = {i: {j: [f"{i:04}{j:04}" + "x" * 20] for j in range(near)} for i in range(nodes)}
    found = size(one, lists, texts)
    rows = [dict(near) for near in one.values()]
    found += size(rows)
    one[0][1]["weight"] = found
    return found


for _ in range(2):
    graphs(600, 60)
    graphs(120, 200)

source = "\n".join(f"name_{i} = 'text number {i:010}'" for i in range(12000))
module = {}
exec(compile(source, "many_names.py", "exec"), module)
last = module["name_11999"]
row = [1, 2]
row.append(last)
