import pytest
from pydantic import ValidationError

from OnPolicyDistill.settings.sight import SightSettings


def test_limits_of_pictures_that_leave_no_room_between_them_are_refused() -> None:
    assert SightSettings(min_pixels=1000, max_pixels=1000).picture_cache_mb == 2048
    with pytest.raises(ValidationError, match="must be at most max_pixels"):
        SightSettings(min_pixels=2000, max_pixels=1000)
