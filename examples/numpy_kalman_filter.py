"""A Kalman filter in plain NumPy: where a moving thing is, from noisy observations."""

import numpy as np


def kalman_filter(observations, transition, emission, process_noise, observation_noise):
    """(T, M) observations -> (T, N) filtered means, and the log likelihood."""
    n = transition.shape[0]
    mean = np.zeros(n)
    covariance = np.eye(n)
    means, log_likelihood = [], 0.0
    for observation in observations:
        mean = np.dot(transition, mean)
        covariance = transition @ covariance @ np.transpose(transition) + process_noise

        innovation = observation - emission @ mean
        spread = np.linalg.multi_dot([emission, covariance, emission.T]) + observation_noise
        gain = np.linalg.solve(spread, emission @ covariance).T
        mean = mean + gain @ innovation
        covariance = (np.eye(n) - gain @ emission) @ covariance

        logdet = np.linalg.slogdet(spread)[1]
        mahalanobis = innovation @ np.linalg.solve(spread, innovation)
        log_likelihood -= 0.5 * (mahalanobis + logdet + len(innovation) * np.log(2 * np.pi))
        means.append(mean)
    return np.stack(means), log_likelihood


def constant_velocity(step, acceleration, error):
    """A thing on a line with nearly constant velocity, of which the place is seen."""
    transition = np.array([[1.0, 0.0], [0.0, 1.0]]) + step * np.array([[0.0, 1.0], [0.0, 0.0]])
    push = np.stack([step**2 / 2, step])
    return transition, np.array([[1.0, 0.0]]), acceleration * np.outer(push, push), error * np.eye(1)


if __name__ == "__main__":
    time = np.arange(12.0)
    seen = (0.5 * time + np.sin(5 * time) / 4)[:, np.newaxis]
    for error in (0.01, 0.1, 1.0):
        _, log_likelihood = kalman_filter(seen, *constant_velocity(np.float64(1.0), 0.1, error))
        print(f"error {error}: log likelihood {log_likelihood:.3f}")
