"""The commands of the brief's steps, and `assess`."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.invocation import PLACE, Invocation, command


@command("ingest")
def ingest(invocation: Invocation) -> None:
    """Take in new files: input_folder_path -> finaldata.csv, ingestedfiles.txt.

    Example: holdfast ingest
    """
    from holdfast.steps.ingestion import ingest

    invocation.show(ingest(invocation.workspace, invocation.progress))


@command("train")
def train(invocation: Invocation) -> None:
    """Train the brief's logistic regression: finaldata.csv -> trainedmodel.pkl.

    Example: holdfast train
    """
    from holdfast.steps.training import train

    invocation.show(train(invocation.workspace, invocation.progress))


@command("score")
def score(invocation: Invocation) -> None:
    """Score the trained model on the test data: F1 -> latestscore.txt.

    Example: holdfast score
    """
    from holdfast.steps.scoring import score

    invocation.show(score(invocation.workspace, invocation.progress))


@command("deploy")
@click.option("--reason", default="deployed by hand", show_default=True, help="Why, for the record.")
def deploy(invocation: Invocation, reason: str) -> None:
    """Put model, score and ingestion record into production as one release.

    Example: holdfast deploy --reason "approved on Monday"
    """
    from holdfast.steps.deployment import deploy

    invocation.show(deploy(invocation.workspace, invocation.progress, reason=reason))


@command("diagnose")
@click.option("--measure", is_flag=True, help="Time ingestion, training and scoring now, on a throw-away copy.")
def diagnose(invocation: Invocation, *, measure: bool) -> None:
    """Check predictions, data, timings and packages -> diagnostics.json, logs/outdated.txt.

    Example: holdfast diagnose --measure
    """
    from holdfast.steps.diagnostics import diagnose
    from holdfast.steps.process import measure as measure_steps

    measured = measure_steps(invocation.workspace, invocation.progress) if measure else None
    invocation.show(diagnose(invocation.workspace, invocation.progress, measured=measured))


@command("report")
def report(invocation: Invocation) -> None:
    """Draw confusionmatrix.png and write report.html.

    Example: holdfast report
    """
    from holdfast.steps.reporting import report

    invocation.show(report(invocation.workspace, invocation.progress))


@command("run")
@click.option("--dry-run", is_flag=True, help="Print the decision and every reason; change nothing.")
def run(invocation: Invocation, *, dry_run: bool) -> None:
    """Run the full process: new data? ingest; decayed? retrain, rescore, redeploy; diagnose, report, call.

    Example: holdfast run --dry-run
    """
    from holdfast.steps import process

    if dry_run:
        invocation.show(process.rehearse(invocation.workspace, invocation.progress))
    else:
        invocation.show(process.run(invocation.workspace, invocation.progress))


@command("call")
@click.option("--address", help="The API's address; default: http://127.0.0.1 and the setting 'port'.")
def call(invocation: Invocation, address: str | None) -> None:
    """Call the API's four endpoints and combine the answers: apireturns.txt.

    Example: holdfast call
    """
    from holdfast.steps.calling import call

    invocation.show(call(invocation.workspace, invocation.progress, address=address))


@command("assess")
@click.option("--top", type=click.IntRange(min=1), help="How many clients to show; default: the setting 'capacity'.")
@click.option("--out", type=PLACE, help="Write the whole list to this .csv or .json file.")
def assess(invocation: Invocation, top: int | None, out: Path | None) -> None:
    """Rank every current client by risk, with the contribution of each feature.

    Example: holdfast assess --top 20 --out clients.csv
    """
    from holdfast.steps.assessment import assess

    workspace = invocation.workspace
    invocation.show(assess(workspace, invocation.progress, out=out), limit=top or workspace.capacity)
