"""Run the edge until its first score in a new process, and report when each step of the start was done.

`python -m runtime.profiling.first_score CONFIGURATION STARTED` takes the configuration as JSON, and the time of the
monotonic clock at which the process was started. It prints one line of JSON: `python_s`, `import_s`, `open_s`,
`frame_s` and `score_s`, each from the start, `score_s` None when the source ended before; `processor_s`, the processor
time until then; and `memory_mb`, the resident memory.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Run the edge and print the steps."""
    steps: dict[str, float | None] = {}
    began = float(sys.argv[2])

    def step(name: str) -> None:
        steps.setdefault(name, time.monotonic() - began)

    step("python_s")
    import runtime.cli  # noqa: F401  what daflow-edge imports
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
        while "score_s" not in steps and service.camera_health("camera")["state"] != "ended":
            service.supervise(0.005)
        memory = memory_mb()
    sys.stdout.write(json.dumps({"score_s": None, **steps, "memory_mb": memory}) + "\n")


if __name__ == "__main__":
    main()
