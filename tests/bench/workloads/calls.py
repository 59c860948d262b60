"""Small methods calling each other: a queue of tasks that pass packets on, objects with state."""
from contract import run


class Packet:
    def __init__(self, kind, data):
        self.kind = kind
        self.data = data
        self.next = None


class Task:
    def __init__(self, name, scheduler):
        self.name = name
        self.scheduler = scheduler
        self.inbox = None
        self.done = 0

    def receive(self, packet):
        packet.next = self.inbox
        self.inbox = packet
        return self

    def take(self):
        packet = self.inbox
        if packet is not None:
            self.inbox = packet.next
            packet.next = None
        return packet

    def is_idle(self):
        return self.inbox is None

    def step(self):
        packet = self.take()
        if packet is None:
            return None
        self.done += 1
        return self.handle(packet)


class Worker(Task):
    def handle(self, packet):
        packet.data = (packet.data * 31 + self.name) % 1009
        return self.scheduler.find(packet.data).receive(packet)


class Device(Task):
    def handle(self, packet):
        if packet.kind == 0:
            packet.kind = 1
        else:
            packet.kind = 0
            packet.data += 1
        return self.scheduler.find(packet.data + self.name).receive(packet)


class Scheduler:
    def __init__(self, size):
        self.tasks = [Device(i, self) if i % 3 else Worker(i, self) for i in range(size)]

    def find(self, number):
        return self.tasks[number % len(self.tasks)]

    def run(self, rounds):
        for _ in range(rounds):
            for task in self.tasks:
                if not task.is_idle():
                    task.step()


def kernel(n):
    scheduler = Scheduler(12)
    for i in range(6):
        scheduler.find(i).receive(Packet(i % 2, i * 7))
    scheduler.run(n)
    return [task.done for task in scheduler.tasks]


run(kernel, 60_000)
