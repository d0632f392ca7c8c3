#!/usr/bin/env python3
"""Mark as KILLED the runs that the named jobs left RUNNING when they were killed."""

from __future__ import annotations

import argparse

import tracking


def main() -> None:
    """Find the jobs' running runs in every experiment, and end them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("job", nargs="+", help="value of the run tag platform.job")
    jobs = parser.parse_args().job
    tracking.prepare()

    from mlflow import MlflowClient

    client = MlflowClient()
    with tracking.impatient():
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        for job in jobs:
            lost = client.search_runs(experiments, f"tags.`platform.job` = '{job}' and attributes.status = 'RUNNING'")
            for run in lost:
                client.set_terminated(run.info.run_id, "KILLED")
                print(f"run {run.info.run_id} of job {job} was left running: marked KILLED")


if __name__ == "__main__":
    tracking.run(main)
