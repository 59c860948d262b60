"""PEP 695: type parameters and aliases, whose bodies are functions evaluated lazily."""
type Pair[T] = tuple[T, T]


def first[T: (int, str)](pair: Pair[T]) -> T:
    return pair[0]


class Stack[T]:
    def __init__(self) -> None:
        self.items: list[T] = []


print(first((1, 2)), Pair.__value__, first.__type_params__[0].__constraints__, Stack[int]().items)
