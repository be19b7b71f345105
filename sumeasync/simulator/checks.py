"""What the service insists on in the body of a create, as far as it is documented."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sumeasync.errors import BadRequestError
from sumeasync.models import JSON

__all__ = ["CHECKS", "Check"]

Check = Callable[[Mapping[str, JSON]], Sequence[str]]
"""Takes the body; returns what each job is about, one entry a job. Raises `BadRequestError` (400)."""

IMAGE_RATIOS = ("1:1", "4:5", "9:16")
VIDEO_RESOLUTIONS = ("480p", "720p")
ONE_JOB = ("",)


def check_image(body: Mapping[str, JSON]) -> Sequence[str]:
    """An image: a prompt; one job whatever `image_count` says."""
    _prompt(body)
    _one_of(body, "aspect_ratio", IMAGE_RATIOS)
    references = body.get("reference_image_urls", [])
    if not isinstance(references, list) or not all(str(url).startswith("https://") for url in references):
        raise _bad("reference_image_urls must be https URLs")
    return ONE_JOB


def check_video(body: Mapping[str, JSON]) -> Sequence[str]:
    """A video: a prompt, whole seconds."""
    _prompt(body)
    _one_of(body, "resolution", VIDEO_RESOLUTIONS)
    if not isinstance(body.get("duration", 4), int) or not 4 <= body.get("duration", 4) <= 15:
        raise _bad("duration must be 4 to 15 seconds")
    if not isinstance(body.get("generate_audio", False), bool):
        raise _bad("generate_audio must be true or false")
    return ONE_JOB


def check_anything(body: Mapping[str, JSON]) -> Sequence[str]:
    """An ad: its fields are not documented, so only emptiness is refused."""
    if not body:
        raise _bad("the body is empty")
    return ONE_JOB


def check_face_swap(body: Mapping[str, JSON]) -> Sequence[str]:
    """A face swap: one job for each avatar."""
    avatars = body.get("avatar_ids")
    if not isinstance(avatars, list) or not avatars or not all(isinstance(avatar, str) for avatar in avatars):
        raise _bad("avatar_ids must name at least one avatar")
    return avatars


def check_reference(body: Mapping[str, JSON]) -> Sequence[str]:
    """A reference analysis: the URL of a public post, under whatever name."""
    if not any(isinstance(value, str) and value.startswith(("https://", "http://")) for value in body.values()):
        raise _bad("the URL of a public post is missing")
    return ONE_JOB


CHECKS: dict[str, Check] = {
    "image_generation": check_image,
    "video_generation": check_video,
    "ads_video": check_anything,
    "face_swap": check_face_swap,
    "reference_analysis": check_reference,
}


def _prompt(body: Mapping[str, JSON]) -> None:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _bad("prompt is required")


def _one_of(body: Mapping[str, JSON], field: str, allowed: Sequence[str]) -> None:
    if field in body and body[field] not in allowed:
        raise _bad(f"{field} must be one of {', '.join(allowed)}")


def _bad(message: str) -> BadRequestError:
    return BadRequestError(message, status=400, code="bad_request")
