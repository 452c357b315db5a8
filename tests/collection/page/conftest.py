"""The browser for the pages of folders."""

from helpers.browser import browser, console_errors, requested_urls  # noqa: F401  (fixtures)
