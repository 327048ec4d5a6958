"""The golden files: what the small company in company/ comes to. Run this after a change that is meant to move them.

python tests/golden/regenerate.py
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from holdfast import Workspace, assess, deploy, ingest, score, train
from holdfast.records import to_json
from holdfast.steps.initialisation import init_empty

HERE = Path(__file__).parent
FILES = {"finaldata.csv": "ingesteddata", "latestscore.txt": "practicemodels", "assessment.csv": "practicemodels"}
NOT_GOLDEN = {"seconds", "received", "digest"}
"""What differs from run to run, or is a digest of what does."""


def live_through(folder: Path) -> dict[str, str]:
    """Lead the company in `folder` from ingestion to the list; returns the golden files by name."""
    init_empty(folder)
    for name in ("practicedata", "testdata"):
        for path in (HERE / "company" / name).iterdir():
            shutil.copy(path, folder / name)
    workspace = Workspace.open(folder)
    taken = to_json(ingest(workspace))
    train(workspace)
    score(workspace)
    deploy(workspace)
    assess(workspace)
    golden = {name: (folder / place / name).read_bytes().decode() for name, place in FILES.items()}
    return golden | {"ingestion.json": json.dumps(_stable(taken), indent=1) + "\n"}


def _stable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _stable(item) for key, item in value.items() if key not in NOT_GOLDEN}
    return [_stable(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in live_through(Path(scratch)).items():
            (HERE / "expected" / name).write_bytes(text.encode())
