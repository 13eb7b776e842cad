"""The in-process engine: one task after another in this process, for debugging and one GPU."""

from collections.abc import Callable

from grid.execution.coordination import Coordination, Progress
from grid.execution.work import describe, run_task
from grid.study import Study

Show = Callable[[Progress], None]


def run_local(study: Study, show: Show) -> Progress:
    """Run every missing stage of the study; a stage's error is recorded, not raised."""
    # nothing else runs beside the stage, so its speeds may be measured
    run = Coordination(study, slots=1, exclusive=True)
    run.add(study.plan.cells)
    show(run.progress())
    while assignment := run.launch():
        try:
            seconds = run_task(assignment)
        except Exception as error:
            run.fail(assignment.task, describe(error))
        else:
            run.succeed(assignment.task, seconds)
        show(run.progress())
    return run.progress()
