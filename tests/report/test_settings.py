"""Where a page may be written."""

import pytest

from and_tf.report.settings import ReportSettings
from and_tf.settings import SettingError


def test_a_page_replaces_no_photo():
    with pytest.raises(SettingError, match=r"output='photos/a.jpg' must end in \.html"):
        ReportSettings(output="photos/a.jpg")
    assert ReportSettings(output="a.HTML").output == "a.HTML"
