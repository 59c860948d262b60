"""A metaclass with every hook, __init_subclass__, __set_name__, __class_getitem__, type()."""


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases, **options):
        return {"prepared": True}

    def __new__(mcs, name, bases, namespace, **options):
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args):
        return super().__call__(*args)

    def __instancecheck__(cls, other):
        return other == 3


class Named:
    def __set_name__(self, owner, name):
        self.name = name


class Base(metaclass=Meta):
    field = Named()

    def __init_subclass__(cls, /, flavour="plain", **more):
        super().__init_subclass__(**more)
        cls.flavour = flavour

    def __class_getitem__(cls, item):
        return cls, item


class Child(Base, flavour="sweet"):
    pass


made = type("Made", (Base,), {"x": 1})
print(Child.flavour, Child.prepared, Base.field.name, Base[3][1], isinstance(3, Base), made().x)
