"""What Pinball runs under Python 2.7: jobs are commands that start your Python 3."""

import datetime

from pinball_ext.job_templates import CommandJobTemplate
from pinball_ext.workflow.config import JobConfig, ScheduleConfig, WorkflowConfig

WORKFLOWS = {
    "numbers": WorkflowConfig(
        jobs={
            "clean": JobConfig(
                CommandJobTemplate("clean", "python3 pinball_job.py clean"), []
            ),
            "total": JobConfig(
                CommandJobTemplate("total", "python3 pinball_job.py total"), ["clean"]
            ),
        },
        final_job_config=JobConfig(CommandJobTemplate("final", "true")),
        schedule=ScheduleConfig(
            datetime.timedelta(days=1), datetime.datetime(2026, 1, 1)
        ),
        notify_emails="you@example.org",
    )
}
