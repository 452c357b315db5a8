"""What each of an image's random numbers decides. Free of imports: decoding threads use it too."""

ATTEMPTS = 10  # crops tried before the centre crop
CROP_RATIOS = (3 / 4, 4 / 3)  # narrowest and widest crop, width over height

AREA = slice(0, ATTEMPTS)
RATIO = slice(ATTEMPTS, 2 * ATTEMPTS)
TOP, LEFT, FLIP, ORDER, BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY = range(20, 29)
VALUES_PER_IMAGE = 29
