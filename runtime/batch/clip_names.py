"""The names of clips: which files and folders in a folder are recordings, and what the clip of each is called.

A folder of images is a recording, as in many data sets, when nothing below it is one and no video is beside them;
otherwise they are taken for thumbnails and the like.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from daflow.core.data.track_names import SUFFIX, clip_name
from daflow.core.errors import InputError
from runtime.sources.images import is_image
from runtime.sources.uri import is_live, recording_path, redacted

logger = logging.getLogger(__name__)

VIDEOS = frozenset(
    {
        ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".f4v", ".flv", ".h264", ".h265", ".hevc",
        ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
        ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    }
)  # fmt: skip
"""The endings of videos in a folder; a file that is named itself may have any."""

_MAX_BYTES = 255 - len(SUFFIX) - 16  # of the names of most file systems; the rest is for the temporary file
_NOT_SEARCHED = re.compile(r"[.@]|__MACOSX$")  # previews of file managers and of network storage
_TRUTH = "_gt"  # as in UCSD's data sets
_UNUSABLE = re.compile(r"[:\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(path: Path) -> str:
    """Return a path as text that can be printed; bytes that are not UTF-8 are written in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def named_videos(uri: str, clip: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield the recordings of a source with the names of their clips.

    A clip has the name of its video without the ending, or of its folder of images; in a folder with those of the
    folders below it, joined by an underscore. What a file name cannot hold everywhere becomes a dash: `16:38:41.mp4`
    is the clip `16-38-41`.

    Args:
        uri: a video, a folder of images, a folder of such videos and folders, or another source.
        clip: a name that was chosen, for a source that is one clip.

    Raises:
        InputError: a folder has no recording, or a name is unusable or too long.
    """
    folder = Path(uri) if is_live(uri) else recording_path(uri)
    try:
        found = _recordings_in(folder) if folder.is_dir() else [folder]
    except OSError as error:
        raise InputError(f"The folder {readable(folder)} cannot be read: {error.strerror}.") from None
    if not found:
        raise InputError(f"{readable(folder)} has no video ({', '.join(sorted(VIDEOS))}), and no image.")
    if found != [folder] and clip is not None:
        raise InputError(
            f"--clip names a single recording, and {readable(folder)} is a folder of {len(found)}."
        )
    if found != [folder]:
        for path in found:
            *folders, name = path.relative_to(folder).parts
            yield str(path), _checked("_".join([*folders, name if path.is_dir() else _stem(name)]), path)
        return
    yield uri, _checked(_name_of(uri) if clip is None else clip, folder, chosen=clip is not None)


def check_distinct(named: Iterable[tuple[str, str]]) -> None:
    """Check that no two sources are the same clip.

    Args:
        named: sources with the names of their clips.

    Raises:
        InputError: two are.
    """
    sources: dict[str, str] = {}
    for uri, clip in named:
        other = sources.setdefault(clip, uri)
        if other != uri:
            one, two = readable(Path(other)), readable(Path(uri))
            raise InputError(
                f"Two sources would be the clip {clip}, {one} and {two}: rename one of the files, or find their poses "
                "one after the other, with --clip NAME or in two folders."
            )


def _recordings_in(folder: Path) -> list[Path]:
    """Return the videos and the folders of images in a folder, at any depth; the folder itself if it is one of images.

    Raises:
        OSError: the folder cannot be read.
    """
    next(folder.iterdir(), None)  # os.walk tells no error
    videos: list[Path] = []
    images: set[Path] = set()
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _NOT_SEARCHED.match(name)]
        files = [Path(root, name) for name in names]
        videos += filter(_is_video, files)
        if any(is_image(file) and file.is_file() for file in files):
            images.add(Path(root))
    truth = {path for path in images if path.name.endswith(_TRUTH) and _described(path) in images}
    if truth:
        logger.warning(
            "%d folders NAME%s beside a folder NAME are left out as ground truth", len(truth), _TRUTH
        )
    images -= truth
    above = {parent for path in (*videos, *images) for parent in path.parents}
    if left_out := images & above:
        logger.warning(
            "images beside videos or beside folders of images are left out (%s)", readable(min(left_out))
        )
    return sorted([*videos, *(images - above)])


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS and not path.name.startswith("._") and path.is_file()


def _described(truth: Path) -> Path:
    return truth.with_name(truth.name.removesuffix(_TRUTH))


def _name_of(uri: str) -> str:
    """Return the name of the clip of a source that is one clip."""
    scheme, _, rest = uri.partition(":")
    if is_live(uri):  # without the path of an address, which may hold a password
        return re.sub(r"[^\w.-]+", "_", redacted(uri).partition("://")[2]).strip("_") or "clip"
    if scheme == "synthetic":
        return rest or "clip"
    path = recording_path(uri)
    if path.is_dir():
        return path.resolve().name
    return clip_name(path) if scheme == "tracks" else _stem(path.name)


def _stem(name: str) -> str:
    """Return the name of a file without its ending; of one from Windows, without its folders."""
    name = name.rpartition("\\")[2] or name
    return Path(name).stem


def _checked(name: str, source: Path, chosen: bool = False) -> str:
    clean = _UNUSABLE.sub("-", name).replace("/", "_").replace("\\", "_")
    clean = f"_{clean[1:]}" if clean.startswith(".") else clean  # hidden files are not read as tracks
    if not clean.strip("-_ ") or (chosen and clean != name):
        raise InputError(
            f"{name!r} cannot be the name of a clip: choose letters and digits with --clip NAME."
            if chosen
            else f"{readable(source)} gives no name for its clip: choose one with --clip NAME."
        )
    if (size := len(clean.encode())) > _MAX_BYTES:
        raise InputError(
            f"The clip of {readable(source)} would have a name of {size} bytes, {_MAX_BYTES} are possible: choose a "
            "shorter one with --clip NAME, or rename the file."
        )
    return clean
