"""Run the edge until its first score in a new process, and report when each step of the start was done.

`python -m runtime.profiling.first_score CONFIGURATION STARTED` takes the configuration as JSON, and the time of the
monotonic clock at which the process was started. It prints one line of JSON: `python_s`, `import_s`, `open_s`,
`frame_s` and `score_s`, each from the start, `score_s` None when the source ended before; `processor_s`, the processor
time until then; and `memory_mb`, the resident memory. When the edge does not start, the line holds `error` alone.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Run the edge and print the steps, or why it does not start."""
    # Nothing is imported before `_steps`, which times the imports.
    try:
        answer: dict[str, object] = {"score_s": None, **_steps()}
    except Exception as error:
        from daflow.core.errors import DaflowError, explain_import

        explained = explain_import(error) if isinstance(error, ImportError) else error
        if not isinstance(explained, DaflowError):
            raise
        answer = {"error": explained.message}
    sys.stdout.write(json.dumps(answer) + "\n")


def _steps() -> dict[str, float | None]:
    steps: dict[str, float | None] = {}
    began = float(sys.argv[2])

    def step(name: str) -> None:
        steps.setdefault(name, time.monotonic() - began)

    step("python_s")
    import runtime.cli  # noqa: F401  what daflow-edge imports
    from daflow.core.errors import InputError
    from runtime.config.schema import Config
    from runtime.machine.board import memory_mb
    from runtime.pipeline.results import FrameResult
    from runtime.service.service import Service

    step("import_s")

    def listen(result: FrameResult) -> None:
        step("frame_s")
        if result.score is not None:
            step("score_s")
            steps.setdefault("processor_s", time.process_time())

    with Service(Config.model_validate_json(sys.argv[1]), listeners=[listen]) as service:
        step("open_s")
        service.start()
        while "score_s" not in steps and (facts := service.camera_health("camera"))["state"] != "ended":
            if facts["error"]:
                raise InputError(str(facts["error"]))
            service.supervise(0.005)
        steps["memory_mb"] = memory_mb()
    return steps


if __name__ == "__main__":
    main()
