"""Files of visitors: each session has its own, and they are gone once it has no more use for them.

Uploads with the same content share one file, whoever sent them, because Gradio names them after
their content. A file is therefore deleted when the last session that uses it lets go of it.
"""

import secrets
import shutil
import tempfile
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path


class Storage:
    """The folder that holds everything visitors send and receive.

    Attributes:
        root: private folder of this process, removed by :meth:`close`.
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="avsr-demo-")).resolve()
        self._uploads: defaultdict[str, set[Path]] = defaultdict(set)
        self._results: dict[str, Path] = {}
        self._lock = threading.Lock()

    def hold(self, session: str, upload: Path) -> None:
        """Keep an upload for a session; what it held before, and its results, are deleted."""
        with self._lock:
            outdated = self._uploads[session] - {upload}
            self._uploads[session] = {upload}
            self._delete_unused(outdated)
            self._delete_results(session)

    def new_results(self, session: str) -> Path:
        """Make an empty folder, with a name that cannot be guessed, for a session's results."""
        folder = self.root / f"result-{secrets.token_urlsafe(16)}"
        with self._lock:
            self._delete_results(session)
            folder.mkdir()
            self._results[session] = folder
        return folder

    def release(self, session: str) -> None:
        """Delete what a session held; nothing happens for one that held nothing."""
        with self._lock:
            self._delete_unused(self._uploads.pop(session, set()))
            self._delete_results(session)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            shutil.rmtree(self.root, ignore_errors=True)

    def _delete_unused(self, uploads: set[Path]) -> None:
        used = set().union(*self._uploads.values())
        for path in uploads - used:
            if path.is_relative_to(self.root):
                path.unlink(missing_ok=True)
                with suppress(OSError):  # others' files are in there too
                    path.parent.rmdir()

    def _delete_results(self, session: str) -> None:
        folder = self._results.pop(session, None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
