"""Model, score and ingestion record go into production as one release: the same as `holdfast deploy`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
