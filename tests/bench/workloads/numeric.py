"""Floating point in nested loops: bodies that attract each other."""
from contract import run

BODIES = [
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.5],
    [4.84, -1.16, -0.10, 0.61, 2.81, -0.02, 0.038],
    [8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011],
    [12.89, -15.11, -0.22, 1.08, 0.87, -0.01, 0.0017],
    [15.38, -25.92, 0.18, 0.98, 0.59, -0.03, 0.002],
]


def advance(bodies, dt):
    for i in range(len(bodies)):
        a = bodies[i]
        for j in range(i):
            b = bodies[j]
            dx = a[0] - b[0]
            dy = a[1] - b[1]
            dz = a[2] - b[2]
            pull = dt / (dx * dx + dy * dy + dz * dz) ** 1.5
            mine = a[6] * pull
            yours = b[6] * pull
            a[3] -= dx * yours
            a[4] -= dy * yours
            a[5] -= dz * yours
            b[3] += dx * mine
            b[4] += dy * mine
            b[5] += dz * mine
    for body in bodies:
        body[0] += dt * body[3]
        body[1] += dt * body[4]
        body[2] += dt * body[5]


def kernel(n):
    bodies = [list(body) for body in BODIES]
    for _ in range(n):
        advance(bodies, 0.01)
    return [round(x, 9) for x in bodies[1]]


run(kernel, 45_000)
