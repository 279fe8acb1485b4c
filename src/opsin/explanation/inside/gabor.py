"""Fitting Gabor functions to small kernels: a cosine wave under a Gaussian envelope.

The form is that of Jones and Palmer (1987, An evaluation of the two-dimensional Gabor filter model of simple receptive
fields in cat striate cortex), after Daugman (1985):

    amplitude * exp(-(u / sigma_along) ** 2 / 2 - (v / sigma_across) ** 2 / 2) * cos(2 pi frequency u + phase)

with u along the wave's direction and v across it, from a centre at (row, column).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import leastsq
from scipy.special import expit

NARROWEST = 0.7  # pixels: a narrower envelope is a single pixel, which anything fits
STARTS = 2  # directions of the wave that are tried, each with two widths of the envelope
EVALUATIONS = 150


def gabor(parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float64 `(height, width)`: the Gabor function with the eight parameters of `Filters.PARAMETERS`."""
    amplitude, row, column, angle, along, across, frequency, phase = parameters
    envelope, u = _envelope(size, row, column, angle, along, across)
    return amplitude * envelope * np.cos(2 * np.pi * frequency * u + phase)


@dataclass(frozen=True)
class Fit:
    """The best Gabor function of one kernel.

    Attributes:
        parameters: float64 `(8,)`.
        r2: share of the kernel's variance over places that it explains.
        blob_r2: the same of the best Gaussian without a wave.
    """

    parameters: np.ndarray
    r2: float
    blob_r2: float


def fit_gabor(kernel: np.ndarray) -> Fit:
    """Least squares from several starts: the strongest waves of the kernel's spectrum, under a narrow and a wide
    envelope around the centre of its energy. The two amplitudes of a cosine and a sine are solved for exactly at each
    point (variable projection: Golub and Pereyra 1973), so that six numbers remain to be searched."""
    kernel = np.asarray(kernel, np.float64)
    energy = kernel**2
    variance = float(((kernel - kernel.mean()) ** 2).sum())
    rows, columns = _grid(kernel.shape)
    centre = (float((rows * energy).sum() / energy.sum()), float((columns * energy).sum() / energy.sum()))
    tries = [
        _least(_wave_residual, _free(kernel.shape, centre, angle, width, frequency), kernel)
        for angle, frequency in _waves(kernel)
        for width in _widths(kernel)
    ]
    left, best = min(tries, key=lambda found: found[0])
    blobs = [
        _least(_blob_residual, _free(kernel.shape, centre, 0.4, width, 0.25)[:5], kernel) for width in _widths(kernel)
    ]
    return Fit(_named(best, kernel), 1 - left / variance, 1 - min(left for left, _ in blobs) / variance)


def random_kernels(kernels: np.ndarray, count: int, draws: np.random.Generator) -> np.ndarray:
    """`(count, kh, kw)`: Gaussian noise with the mean power spectrum of some kernels `(n, kh, kw)`: as smooth as they
    are, and without their shapes."""
    scaled = kernels / np.sqrt((kernels**2).sum(axis=(1, 2), keepdims=True))
    amplitude = np.sqrt((np.abs(np.fft.fft2(scaled)) ** 2).mean(axis=0))
    noise = draws.standard_normal((count, *kernels.shape[1:]))
    return np.fft.ifft2(np.fft.fft2(noise) * amplitude).real


def _least(residual: Callable[..., np.ndarray], start: np.ndarray, kernel: np.ndarray) -> tuple[float, np.ndarray]:
    """The sum of squares that is left, and where. MINPACK's Levenberg-Marquardt is called directly: on kernels of this
    size the checks of `scipy.optimize.least_squares` take several times as long as the search."""
    found = leastsq(residual, start, args=(kernel,), maxfev=EVALUATIONS, full_output=True)[0]
    return float(np.square(residual(found, kernel)).sum()), found


def _widths(kernel: np.ndarray) -> tuple[float, float]:
    return min(kernel.shape) / 6, min(kernel.shape) / 3


@lru_cache(16)
def _grid(size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every place, from the kernel's middle."""
    height, width = size
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    return rows - (height - 1) / 2, columns - (width - 1) / 2


def _envelope(
    size: tuple[int, ...], row: float, column: float, angle: float, along: float, across: float
) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = _grid(size)
    down, right = rows - row, columns - column
    u = right * math.cos(angle) + down * math.sin(angle)
    v = down * math.cos(angle) - right * math.sin(angle)
    return np.exp(-((u / along) ** 2) / 2 - (v / across) ** 2 / 2), u


def _waves(kernel: np.ndarray) -> list[tuple[float, float]]:
    """Angle and frequency of the strongest wave of the kernel, and of the strongest at least 30 degrees away."""
    height, width = (4 * edge for edge in kernel.shape)
    power = np.abs(np.fft.rfft2(kernel - kernel.mean(), (height, width))) ** 2
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down, across)
    angle = np.broadcast_to(np.arctan2(down, across), power.shape)
    power = np.where(frequency < _slowest(kernel.shape), 0, power)
    found: list[tuple[float, float]] = []
    for _ in range(STARTS):
        at = np.unravel_index(power.argmax(), power.shape)
        found.append((float(angle[at]), float(min(frequency[at], 0.5))))
        apart = np.abs((angle - angle[at] + np.pi / 2) % np.pi - np.pi / 2)
        power = np.where(apart < np.pi / 6, 0, power)
    return found


def _slowest(size: tuple[int, ...]) -> float:
    """The lowest frequency, in cycles per pixel: half a wave over the kernel. Slower ones are no waves there."""
    return 0.5 / max(size)


# What is searched has no bounds: (row, column, angle, sigma along, sigma across, frequency) as functions of six numbers
# that keep the centre within the kernel, the envelope between a pixel and twice the kernel, and the frequency between
# the slowest wave and the fastest that pixels can hold.
def _free(
    size: tuple[int, ...], centre: tuple[float, float], angle: float, width: float, frequency: float
) -> np.ndarray:
    height, columns = size
    low, high = NARROWEST, 2.0 * max(size)
    slow = _slowest(size)
    share = [
        (centre[0] / height) + 0.5,
        (centre[1] / columns) + 0.5,
        (max(width, low * 1.1) - low) / (high - low),
        (max(width, low * 1.1) - low) / (high - low),
        (frequency - slow) / (0.5 - slow),
    ]
    row, column, along, across, fast = _logit(np.clip(share, 0.02, 0.98))
    return np.array([row, column, angle, along, across, fast])


def _bound(free: np.ndarray, size: tuple[int, ...]) -> tuple[float, float, float, float, float]:
    height, columns = size
    high = 2.0 * max(size)
    row, column, along, across = expit(free[[0, 1, 3, 4]])
    return (
        (row - 0.5) * height,
        (column - 0.5) * columns,
        free[2],
        NARROWEST + (high - NARROWEST) * along,
        NARROWEST + (high - NARROWEST) * across,
    )


def _frequency(free: np.ndarray, size: tuple[int, ...]) -> float:
    slow = _slowest(size)
    return float(slow + (0.5 - slow) * expit(free[5]))


def _solved(free: np.ndarray, kernel: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The amplitudes of the cosine and the sine under the envelope that fit best, and what they leave."""
    envelope, u = _envelope(kernel.shape, *_bound(free, kernel.shape))
    turn = 2 * np.pi * _frequency(free, kernel.shape) * u
    even, odd = envelope * np.cos(turn), envelope * np.sin(turn)
    a, b, c = (even**2).sum(), (even * odd).sum(), (odd**2).sum()
    p, q = (even * kernel).sum(), (odd * kernel).sum()
    determinant = a * c - b * b
    if determinant <= 1e-9 * a * c:  # one of them is the other, or nothing
        cosine, sine = p / a if a else 0.0, 0.0
    else:
        cosine, sine = (c * p - b * q) / determinant, (a * q - b * p) / determinant
    return cosine, sine, cosine * even + sine * odd - kernel


def _wave_residual(free: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return _solved(free, kernel)[2].ravel()


def _blob_residual(free: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    envelope, _ = _envelope(kernel.shape, *_bound(free, kernel.shape))
    return ((envelope * kernel).sum() / (envelope**2).sum() * envelope - kernel).ravel()


def _named(free: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The eight parameters, the angle in 0..pi and the amplitude positive."""
    cosine, sine, _ = _solved(free, kernel)
    row, column, angle, along, across = _bound(free, kernel.shape)
    # cosine * cos(t) + sine * sin(t) = amplitude * cos(t + phase)
    amplitude, phase = math.hypot(cosine, sine), math.atan2(-sine, cosine)
    if angle % (2 * np.pi) >= np.pi:  # the same wave seen from the other side
        phase = -phase
    frequency = _frequency(free, kernel.shape)
    return np.array([amplitude, row, column, angle % np.pi, along, across, frequency, phase])


def _logit(share: np.ndarray) -> np.ndarray:
    return np.log(share / (1 - share))
