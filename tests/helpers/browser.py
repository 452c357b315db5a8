"""A headless Chromium for the tests that look at pages as a reader does: fixtures."""

import json
import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
IS_REQUIRED = os.environ.get("AND_TF_BROWSER") == "required"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Selenium's Chrome on Debian's Chromium, with a new profile; a start takes seconds.

    Skips where it is missing, and fails there if the environment has AND_TF_BROWSER=required.
    """
    if not (CHROMIUM and CHROMEDRIVER):
        missing = "chromium or chromedriver is not installed (Debian: chromium-driver)"
        (pytest.fail if IS_REQUIRED else pytest.skip)(missing)
    from selenium import webdriver  # of requirements-dev.txt, as pytest is

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=CHROMEDRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser with a new tab, for which nothing is emulated or disabled, and empty logs.

    Our pages store nothing that could outlive a tab.
    """
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1280, 900)
    chromium.set_script_timeout(30)
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    yield chromium
    first, *tabs = chromium.window_handles
    for tab in tabs:
        chromium.switch_to.window(tab)
        chromium.close()
    chromium.switch_to.window(first)


@pytest.fixture
def console_errors():
    """`console_errors(browser)`: messages of level SEVERE since the last call, a list of str."""

    def read(browser):
        return [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]

    return read


@pytest.fixture
def requested_urls():
    """`requested_urls(browser)`: what pages asked for since the last call, a list of str.

    Chromium's own start page is left out.
    """

    def read(browser):
        events = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        own = ("chrome://", "chrome-untrusted://")
        pages = [params for params in sent if not params["documentURL"].startswith(own)]
        return [params["request"]["url"] for params in pages]

    return read


def set_width(browser, width, scheme="light"):
    """Shows pages as a screen so many pixels wide does, in light or in dark."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
