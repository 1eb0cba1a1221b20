"""Waiting for conditions, always with a deadline."""

import concurrent.futures
import time


def wait_until(condition, what, timeout=20.0, interval=0.02):
    """Returns the first true value of condition(); fails with what it was waiting for."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            error = None
        except (OSError, AssertionError, ValueError, KeyError) as e:
            last, error = None, e
        if last:
            return last
        if time.monotonic() > deadline:
            detail = f" (last error: {error!r})" if error else f" (last value: {last!r})"
            raise AssertionError(f"waited {timeout:g} s in vain for {what}{detail}")
        time.sleep(interval)


def holds_for(condition, what, seconds, interval=0.05):
    """Fails as soon as condition() is not true during the given time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not hold for {seconds:g} s: {what}"
        time.sleep(interval)


def in_parallel(function, items, workers=None):
    """[function(item) for item in items], all at once; the first exception is raised."""
    items = list(items)
    if not items:
        return []
    with concurrent.futures.ThreadPoolExecutor(workers or len(items)) as pool:
        return list(pool.map(function, items))
