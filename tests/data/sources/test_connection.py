"""Whether downloads can work is known within seconds."""

import time

import pytest
import requests

from and_tf.data.sources import connection
from and_tf.data.sources.connection import fail_fast_offline, why_offline

URLS = ["https://one.invalid/a", "https://one.invalid/b", "http://two.invalid/c", "ftp://x/y"]


class Answer:
    def close(self):
        pass


@pytest.fixture
def ask(monkeypatch):
    """Lets a function answer in place of the network; gives the URLs that were asked for."""

    def install(answer):
        asked = []

        def get(url, **kwargs):
            asked.append(url)
            return answer(url)

        monkeypatch.setattr(requests, "get", get)
        return asked

    return install


def silent(url):
    raise requests.exceptions.ConnectionError(f"nobody at {url}")


def test_no_host_answers_and_each_is_asked_once(ask):
    asked = ask(silent)
    assert "nobody at http" in why_offline(URLS)
    assert len(asked) == 2 and {url.split("/")[2] for url in asked} == {
        "one.invalid",
        "two.invalid",
    }


def test_one_answer_of_many_is_enough(ask):
    ask(lambda url: Answer() if "two" in url else silent(url))
    assert why_offline(URLS) is None


def test_a_host_that_hangs_does_not_hold_up_the_others(ask):
    ask(lambda url: Answer() if "two" in url else time.sleep(5))
    started = time.monotonic()
    assert why_offline(URLS) is None and time.monotonic() - started < 3


def test_nothing_is_asked_where_nothing_is_downloaded(ask):
    asked = ask(silent)
    assert why_offline([]) is None and why_offline(["ftp://x/y"]) is None and asked == []


def test_what_is_no_lack_of_a_connection_is_left_to_tfds(ask):
    def strange(url):
        raise requests.exceptions.TooManyRedirects(url)

    ask(strange)
    assert why_offline(URLS) is None


def test_downloads_are_refused_offline_and_only_there(monkeypatch):
    send = requests.adapters.HTTPAdapter.send
    monkeypatch.setattr(connection, "why_offline", lambda urls: "a test")
    with (
        pytest.raises(ConnectionError, match="no connection: a test"),
        fail_fast_offline(URLS),
        requests.Session() as session,
    ):
        session.get(URLS[0])
    assert requests.adapters.HTTPAdapter.send is send
    monkeypatch.setattr(connection, "why_offline", lambda urls: None)
    with fail_fast_offline(URLS):
        assert requests.adapters.HTTPAdapter.send is send
