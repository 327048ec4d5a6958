"""The nouns of Holdfast: frozen records, each with one JSON form from which every rendering is made."""

from holdfast.records.clients import Assessment, ClientRisk
from holdfast.records.company import DemoRecord, InitRecord, RunSummary, Schedule, Status
from holdfast.records.data import Dataset, IngestRecord, RejectedRow, SourceFile
from holdfast.records.jsonform import from_json, to_json
from holdfast.records.model import (
    CalibrationBin,
    Confusion,
    Curves,
    GoldenRow,
    Metric,
    Release,
    RiskModel,
    Scorecard,
    TrainRecord,
)
from holdfast.records.process import Action, Decision, Observation, RunRecord
from holdfast.records.watching import (
    CallRecord,
    ColumnSummary,
    Diagnosis,
    PackageCheck,
    PackageVersion,
    Prediction,
    Predictions,
    ReportRecord,
    Timing,
)

__all__ = [
    "Action",
    "Assessment",
    "CalibrationBin",
    "CallRecord",
    "ClientRisk",
    "ColumnSummary",
    "Confusion",
    "Curves",
    "Dataset",
    "Decision",
    "DemoRecord",
    "Diagnosis",
    "GoldenRow",
    "IngestRecord",
    "InitRecord",
    "Metric",
    "Observation",
    "PackageCheck",
    "PackageVersion",
    "Prediction",
    "Predictions",
    "RejectedRow",
    "Release",
    "ReportRecord",
    "RiskModel",
    "RunRecord",
    "RunSummary",
    "Schedule",
    "Scorecard",
    "SourceFile",
    "Status",
    "Timing",
    "TrainRecord",
    "from_json",
    "to_json",
]
