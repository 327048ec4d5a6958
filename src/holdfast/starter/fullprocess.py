"""New data? Ingest. Decayed? Retrain, rescore, redeploy. Then diagnose, report, call: the same as `holdfast run`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
