"""What a create must say."""

from __future__ import annotations

from typing import Any

import pytest

from sumeasync.errors import BadRequestError
from sumeasync.simulator.checks import CHECKS


@pytest.mark.parametrize(
    ("kind", "body", "jobs"),
    [
        ("image_generation", {"prompt": "a", "aspect_ratio": "4:5", "image_count": 4, "anything": 1}, 1),
        ("image_generation", {"prompt": "a", "reference_image_urls": ["https://x.test/a.png"]}, 1),
        ("video_generation", {"prompt": "a", "duration": 4, "resolution": "480p", "generate_audio": True}, 1),
        ("ads_video", {"whatever": True}, 1),
        ("face_swap", {"avatar_ids": ["a", "b", "c"]}, 3),
        ("reference_analysis", {"url": "https://www.tiktok.com/@a/video/1"}, 1),
    ],
)
def test_accepted(kind: str, body: dict[str, Any], jobs: int) -> None:
    """What is documented is accepted, with further fields."""
    assert len(CHECKS[kind](body)) == jobs


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image_generation", {}),
        ("image_generation", {"prompt": " "}),
        ("image_generation", {"prompt": 5}),
        ("image_generation", {"prompt": "a", "aspect_ratio": "16:9"}),
        ("image_generation", {"prompt": "a", "reference_image_urls": ["http://x.test/a.png"]}),
        ("image_generation", {"prompt": "a", "reference_image_urls": "https://x.test/a.png"}),
        ("video_generation", {"prompt": "a", "duration": 3}),
        ("video_generation", {"prompt": "a", "duration": 16}),
        ("video_generation", {"prompt": "a", "duration": 4.5}),
        ("video_generation", {"prompt": "a", "resolution": "8k"}),
        ("video_generation", {"prompt": "a", "generate_audio": "yes"}),
        ("ads_video", {}),
        ("face_swap", {"avatar_ids": []}),
        ("face_swap", {"avatar_ids": [1]}),
        ("face_swap", {"avatar_ids": "a"}),
        ("reference_analysis", {"url": "tiktok"}),
    ],
)
def test_refused(kind: str, body: dict[str, Any]) -> None:
    """What is missing or out of range is a 400."""
    with pytest.raises(BadRequestError):
        CHECKS[kind](body)
