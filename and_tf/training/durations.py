"""Human-readable durations."""


def clock(seconds: float) -> str:
    """Seconds as 1h02m, 2m05s or 7s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
