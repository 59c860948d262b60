"""for, while, else, break, continue, nested, over many kinds of iterable."""
for i in range(3):
    if i == 1:
        continue
    print(i)
else:
    print("else")
for k, v in {"a": 1, "b": 2}.items():
    while v:
        v -= 1
        if k == "b":
            break
    else:
        print(k, "ran out")
for c, n in zip("xy", enumerate("pq")):
    print(c, n)
for never in ():
    print(never)
while True:
    break
first, *middle, last = reversed([1, 2, 3, 4])
print(first, middle, last)
