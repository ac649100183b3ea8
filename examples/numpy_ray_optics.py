"""Rays through a lens of two spherical faces, by Snell's law, in plain NumPy."""

import numpy as np


def meet_sphere(origin, direction, vertex, radius):
    """Where rays meet a sphere that passes through (vertex, 0, 0), and its normal there."""
    centre = np.stack([vertex + radius, radius * 0.0, radius * 0.0])
    away = origin - centre
    b = np.sum(away * direction, axis=-1, keepdims=True)
    c = np.sum(away * away, axis=-1, keepdims=True) - radius**2
    distance = -b - np.sign(radius) * np.sqrt(np.square(b) - c)
    place = origin + distance * direction
    return place, (place - centre) / radius


def refract(direction, normal, ratio):
    """Snell's law for vectors; the normal points against the ray."""
    cosine = -np.einsum("ij,ij->i", direction, normal)[:, None]
    return ratio * direction + (ratio * cosine - np.sqrt(1 - ratio**2 * (1 - cosine**2))) * normal


def spot(radii, thickness, index, screen, heights):
    """The mean squared distance from the axis where parallel rays meet the screen."""
    origin = np.column_stack([np.full_like(heights, -5.0), heights, np.zeros_like(heights)])
    direction = np.tile(np.array([1.0, 0.0, 0.0]), (len(heights), 1))
    front, back = radii
    place, normal = meet_sphere(origin, direction, np.float64(0.0), front)
    inside = refract(direction, normal, 1 / index)
    place, normal = meet_sphere(place, inside, thickness, back)
    outside = refract(inside, normal, index)
    x, y, z = np.moveaxis(place, -1, 0)
    dx, dy, dz = outside.T
    reach = (screen - x) / dx
    return np.mean(np.hypot(y + reach * dy, z + reach * dz) ** 2)


if __name__ == "__main__":
    heights = np.linspace(-1.0, 1.0, 9)
    for screen in (9.0, 9.6, 10.2):
        size = spot(np.array([10.0, -10.0]), np.float64(0.8), np.float64(1.5), screen, heights)
        print(f"screen at {screen}: spot of {np.sqrt(size):.4f}")
