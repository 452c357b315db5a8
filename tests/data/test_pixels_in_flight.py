"""No more pixels are decoded at a time than one image may have."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageFile

from and_tf.data import decode
from and_tf.data import pixels_in_flight as counter
from and_tf.data.decode import load_image, with_image
from and_tf.data.pixels_in_flight import pixels_in_flight
from and_tf.data.sources.encoded import EncodedSource
from and_tf.errors import BrokenImage


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    """Of 2,000 pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def side_by_side(pixels, hold=0.05):
    """The largest number of pixels that were in flight at a time, by a thread for each image."""
    lock, now, most = threading.Lock(), 0, 0

    def work(count):
        nonlocal now, most
        with pixels_in_flight() as take:
            take(count)
            with lock:
                now += count
                most = max(most, now)
            time.sleep(hold)
            with lock:
                now -= count

    threads = [threading.Thread(target=work, args=[count]) for count in pixels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return most


def test_large_images_wait_for_each_other():
    assert side_by_side([1500] * 4) == 1500


def test_small_images_are_decoded_side_by_side_up_to_the_limit():
    assert 1000 < side_by_side([500] * 8) <= 2000


def test_an_image_beyond_the_limit_is_decoded_alone():
    assert side_by_side([5000, 5000, 10]) <= 5000


def test_a_large_image_is_not_overtaken_for_ever():
    is_over, order = threading.Event(), []

    def small():
        while not is_over.is_set():
            with pixels_in_flight() as take:
                take(600)
                time.sleep(0.002)

    threads = [threading.Thread(target=small, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    with pixels_in_flight() as take:
        take(2000)
        order.append("large")
    is_over.set()
    for thread in threads:
        thread.join(20)
    assert order == ["large"]


def test_a_second_attempt_gives_back_what_the_first_took():
    with pixels_in_flight() as take:
        take(1500)
        take(1500)  # would wait for ever


def test_an_image_counts_until_it_is_used_and_broken_ones_count_no_more():
    with pytest.raises(BrokenImage):
        load_image(png(40, 40)[:-30])
    with pytest.raises(ZeroDivisionError):
        with_image(png(40, 40), lambda image: 1 / 0)
    assert with_image(png(40, 40), lambda image: side_by_side([400] * 3)) == 400
    assert side_by_side([1999]) == 1999


def test_a_process_of_several_leaves_larger_images_to_the_one_that_began_it(monkeypatch):
    monkeypatch.setattr(counter, "_largest", 1000)
    assert load_image(png(30, 30)).size == (30, 30)
    with pytest.raises(BrokenImage, match="left to another process"):
        load_image(png(40, 40))


def test_a_jpeg_counts_at_the_size_at_which_it_is_decoded(monkeypatch):
    taken = []
    monkeypatch.setattr(
        decode, "_decode", lambda *args, plain=decode._decode: plain(*args[:3], taken.append)
    )
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, "JPEG")
    with_image(file.getvalue(), lambda image: image.size, lambda *shape: 4)
    assert taken == [100]


def test_the_images_of_a_batch_are_decoded_one_after_the_other_if_they_are_large(monkeypatch):
    lock, now, most = threading.Lock(), 0, 0
    plain = ImageFile.ImageFile.load

    def load(image):
        nonlocal now, most
        if image.size != (41, 37):  # of a pipeline that another test has left
            return plain(image)
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        try:
            return plain(image)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    source = EncodedSource([png(41, 37)] * 6, "large")
    assert np.array_equal(source.load(range(6), 8)[5, 0, 0], [255, 0, 0]) and most == 1
