"""A planet and its moon about a sun, by the classical Runge-Kutta method, in plain NumPy."""

import numpy as np

MASSES = np.array([1.0, 3e-3, 1e-5])


def accelerations(places, masses):
    """(N, 2) places -> (N, 2): what gravity does to each body."""
    away = places[np.newaxis] - places[:, np.newaxis]
    distance = np.sqrt(np.sum(away**2, axis=-1) + np.eye(len(places)))
    pull = masses * (1 - np.eye(len(places))) / distance**3
    return np.sum(pull[..., np.newaxis] * away, axis=1)


def derivative(state, masses):
    """Places and velocities, (2, N, 2), and how they change."""
    places, velocities = np.split(state, 2)
    return np.concatenate([velocities, accelerations(np.squeeze(places, 0), masses)[np.newaxis]])


def integrate(state, masses, duration, steps):
    """The state after some time."""
    h = duration / steps
    for _ in range(steps):
        k1 = derivative(state, masses)
        k2 = derivative(state + h / 2 * k1, masses)
        k3 = derivative(state + h / 2 * k2, masses)
        k4 = derivative(state + h * k3, masses)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def energy(state, masses):
    """What stays as it is."""
    places, velocities = state
    kinetic = 0.5 * np.sum(masses * np.linalg.norm(velocities, axis=1) ** 2)
    i, j = np.triu_indices(len(masses), k=1)
    distances = np.linalg.norm(places[i] - places[j], axis=1)
    return kinetic - np.sum(masses[i] * masses[j] / distances)


def start():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [1.05, 0.0]])
    velocities = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.25]])
    return np.stack([places, velocities])


if __name__ == "__main__":
    before = start()
    after = integrate(before, MASSES, 1.0, 400)
    print("the moon is at", np.round(after[0, 2], 4))
    print(f"the energy changed by {abs(energy(after, MASSES) / energy(before, MASSES) - 1):.0e}")
