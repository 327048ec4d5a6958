"""Predictions, summary statistics, missing data, timings and outdated packages: the same as `holdfast diagnose`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
