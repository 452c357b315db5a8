"""A headless Chromium for the tests that look at pages as a reader does."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
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


@pytest.fixture
def browser(tmp_path):
    """Selenium's Chrome on Debian's Chromium, with a new profile; skips where it is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("chromium or chromedriver is not installed (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=CHROMEDRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


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


@pytest.fixture
def serve_tensorboard(tmp_path):
    """`serve_tensorboard(logdir)`: starts a TensorBoard and returns its address."""
    processes = []

    def serve(logdir):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", f"--port={port}"]
        with open(tmp_path / "tensorboard.log", "w") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        address = f"http://127.0.0.1:{port}"
        _wait_until_served(address, processes[-1], tmp_path / "tensorboard.log")
        return address

    yield serve
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_served(address, process, log, seconds=120):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/data/environment", timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"TensorBoard does not answer: {log.read_text()[-2000:]}")
