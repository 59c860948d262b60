"""Names and texts outside ASCII."""


class Größe:
    def __init__(self, π):
        self.π = π

    def 面積(self):
        return self.π * 2


def naïve(ñ="🐍"):
    raise Fehlschlag(ñ)


class Fehlschlag(Exception):
    pass


print(Größe(3).面積())
try:
    naïve()
except Fehlschlag as é:
    print(é)
