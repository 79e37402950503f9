"""The face models that come inside the mediapipe package: a detector, and a mesh of points.

Both belong to one thread, because mediapipe crashes otherwise, and must be closed.
"""

from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from avsr_frontends.boxes import overlap
from avsr_frontends.lazy_import import import_lazily
from avsr_frontends.native_log import without_native_chatter
from avsr_frontends.pictures import fits

# FaceMesh vertex for each of the 68 points (the layout of the 300-W annotations), subject's right
# first. Only 28, 33, 36, 39, 42, 45, 48, 54 and 48-67 shape the mouth crop.
MESH_TO_68 = (
    # 0-16 jaw line from the right ear over the chin to the left ear
    *(127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356),
    # 17-21 right eyebrow, outer to inner
    *(70, 63, 105, 66, 107),
    # 22-26 left eyebrow, inner to outer
    *(336, 296, 334, 293, 300),
    # 27-30 nose bridge, top to tip
    *(168, 197, 5, 4),
    # 31-35 nose base, right to left
    *(98, 97, 2, 326, 327),
    # 36-41 right eye: outer corner, two of the upper lid, inner corner, two of the lower lid
    *(33, 160, 158, 133, 153, 144),
    # 42-47 left eye: inner corner, two of the upper lid, outer corner, two of the lower lid
    *(362, 385, 387, 263, 373, 380),
    # 48-54 outer edge of the upper lip, right corner to left corner
    *(61, 40, 37, 0, 267, 270, 291),
    # 55-59 outer edge of the lower lip, left to right
    *(321, 314, 17, 84, 91),
    # 60-64 inner edge of the upper lip, right corner to left corner
    *(78, 81, 13, 311, 308),
    # 65-67 inner edge of the lower lip, left to right
    *(402, 14, 178),
)

_SMALLEST_PART = 160  # pixels: in a smaller one, a face is too small for its lips to be seen
_NOTHING = np.zeros((64, 64, 3), dtype=np.uint8)  # models load, and chatter, on their first picture


def import_face_models() -> tuple[Any, Any]:
    """Import the library of the models, which takes a while.

    Its drawings are left out, and its newer interface, which records sound too.

    Returns:
        Its modules for detecting faces and for meshes.
    """
    import_lazily("matplotlib.pyplot")
    import_lazily("mediapipe.tasks", "mediapipe.tasks.python")
    from mediapipe.python.solutions import face_detection, face_mesh

    return face_detection, face_mesh


def _starts(length: int, part: int) -> list[int]:
    """Where parts begin that cover a length, neighbours sharing about a half."""
    if length <= part:
        return [0]
    n_parts = 1 + -(-2 * (length - part) // part)
    return [round(index * (length - part) / (n_parts - 1)) for index in range(n_parts)]


class FaceDetector:
    """Finds faces down to about 7 % of the picture's width (the full-range model)."""

    def __init__(self, min_confidence: float) -> None:
        face_detection, _ = import_face_models()
        with without_native_chatter():
            self._model = face_detection.FaceDetection(
                min_detection_confidence=min_confidence, model_selection=1
            )
            self._model.process(_NOTHING)

    def boxes(self, frame: np.ndarray) -> list[np.ndarray]:
        """The faces in a picture.

        Args:
            frame: [H, W, 3] uint8 RGB.

        Returns:
            [4] left, top, right, bottom of each, in pixels; surest first.
        """
        height, width = _size(frame)
        result: Any = self._model.process(np.ascontiguousarray(frame))
        boxes = []
        for detection in result.detections or []:
            face = detection.location_data.relative_bounding_box
            corners = (face.xmin, face.ymin, face.xmin + face.width, face.ymin + face.height)
            boxes.append(np.asarray(corners) * (width, height, width, height))
        return boxes

    def small_boxes(self, frame: np.ndarray) -> list[np.ndarray]:
        """Faces that are too small for :meth:`boxes`: each part of the picture is looked at alone.

        Parts are squares of a third of the longer side, half over each other: faces down to 2.5 %
        of it are found. In full HD that takes the time of 15 looks.

        Args:
            frame: [H, W, 3] uint8 RGB.

        Returns:
            As :meth:`boxes`; none of a picture so small that no face in it could be read.
        """
        height, width = _size(frame)
        side = max(width, height) // 3
        if side < _SMALLEST_PART:
            return []
        found: list[np.ndarray] = []
        for top in _starts(height, side):
            for left in _starts(width, side):
                part = frame[top : top + side, left : left + side]
                for box in self.boxes(part):
                    moved = box + np.asarray((left, top, left, top))
                    if not any(overlap(moved, other) for other in found):
                        found.append(moved)
        return found

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class FaceMesh:
    """Places the 68 points of one face, looking first where that face was in the last picture."""

    def __init__(self, min_confidence: float) -> None:
        _, face_mesh = import_face_models()
        with without_native_chatter():
            self._model = face_mesh.FaceMesh(
                refine_landmarks=True,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
            self._model.process(_NOTHING)
        # "following" while the last picture's face is the wanted one, "stale" once it is not, so
        # that the model must be reset; "fresh" before it has any.
        self._state: Literal["fresh", "following", "stale"] = "fresh"

    def points(self, picture: np.ndarray) -> np.ndarray | None:
        """Points of a face, [68, 2] in pixels of the picture ([H, W, 3] uint8 RGB), or None."""
        height, width = _size(picture)
        with without_native_chatter() if self._state != "following" else nullcontext():
            if self._state == "stale":
                self._model.reset()
            result: Any = self._model.process(np.ascontiguousarray(picture))
        faces = result.multi_face_landmarks
        self._state = "following" if faces else "fresh"
        if not faces:
            return None
        mesh = faces[0].landmark
        return np.asarray([(mesh[i].x, mesh[i].y) for i in MESH_TO_68]) * (width, height)

    @property
    def is_following(self) -> bool:
        """Whether the next picture is searched only where the face was in the last one."""
        return self._state == "following"

    def forget(self) -> None:
        """Search the next picture afresh."""
        if self._state == "following":
            self._state = "stale"

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class MeshPool:
    """Mesh models that are made when first needed and used again."""

    def __init__(self, min_confidence: float) -> None:
        self._min_confidence = min_confidence
        self._all = [FaceMesh(min_confidence)]
        self._free = list(self._all)

    def take(self) -> FaceMesh:
        """A model that nobody uses."""
        if not self._free:
            self._all.append(FaceMesh(self._min_confidence))
            self._free.append(self._all[-1])
        return self._free.pop()

    def give_back(self, mesh: FaceMesh) -> None:
        """Let others use a model."""
        self._free.append(mesh)

    def close(self) -> None:
        """Free all models."""
        for mesh in self._all:
            mesh.close()


def _size(picture: np.ndarray) -> tuple[int, int]:
    """Height and width; an error where the model would end the process."""
    height, width = picture.shape[:2]
    if not fits(width, height):
        raise ValueError(f"no face can be looked for in a picture of {width}x{height}")
    return height, width
