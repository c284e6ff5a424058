"""A child process that writes what it reads from a camera into a pipe, and can be killed when it hangs or crashes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence

_PIPE_BYTES = 1 << 20  # the largest pipe that Linux allows without privileges (/proc/sys/fs/pipe-max-size)
_KEPT_LINES = 12  # of the output, chosen: an error of FFmpeg or GStreamer takes fewer


class SourceLostError(Exception):
    """A camera sends no more pictures; the message says why."""


class ReaderProcess:
    """A process and the pipe that it writes to; as a file it can be read by PyAV.

    Args:
        command: returns the command, given the number of the file descriptor to write to.
        message: what is written to its standard input, which stays open as long as this process lives.
        wait_seconds: longest wait for a byte; may be changed later.
    """

    def __init__(
        self, command: Callable[[int], Sequence[str]], message: bytes = b"", wait_seconds: float = 10.0
    ) -> None:
        self.wait_seconds = wait_seconds
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._lock = threading.Lock()
        self._output, theirs = os.pipe()
        with contextlib.suppress(OSError):  # the user has used up the memory for pipes
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._process = subprocess.Popen(
                list(command(theirs)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(theirs)
        self._listener = threading.Thread(target=self._listen, name="camera-messages", daemon=True)
        self._listener.start()
        if message and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(message)
                self._process.stdin.flush()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; empty when the process has ended.

        Raises:
            SourceLostError: nothing came in time.
        """
        self._wait()
        return os.read(self._output, size if 0 < size < _PIPE_BYTES else _PIPE_BYTES)

    def read_exactly(self, size: int) -> bytes:
        """Return exactly `size` bytes; empty when the process ended before.

        Raises:
            SourceLostError: they did not come in time.
        """
        content = bytearray(size)
        return bytes(content) if self.read_into(memoryview(content)) else b""

    def read_into(self, buffer: memoryview) -> bool:
        """Fill a buffer; return whether there was enough before the process ended.

        Raises:
            SourceLostError: nothing came in time.
        """
        while buffer:
            self._wait()
            count = os.readv(self._output, [buffer])
            if not count:
                return False
            buffer = buffer[count:]
        return True

    def crash(self) -> str | None:
        """Return the name of the signal that ended the process, None when none did or it still runs."""
        code = self._process.poll()
        return signal.Signals(-code).name if code is not None and code < 0 else None

    def last_lines(self) -> list[str]:
        """Return the last lines that the process wrote to standard output and standard error."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
            self._listener.join(1)
        return list(self._lines)

    def kill(self) -> None:
        """End the process now, and so the data that is read from it. May be called from any thread."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:  # otherwise another process may have its id by now
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and release its pipes; called by the thread that reads."""
        self.kill()
        self._process.wait()
        self._listener.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    def _wait(self) -> None:
        if not select.select([self._output], [], [], self.wait_seconds)[0]:
            raise SourceLostError(f"no picture for {self.wait_seconds:g} s")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.decode(errors="replace").strip()[:500])
