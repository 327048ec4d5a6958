"""confusionmatrix.png and report.html: the same as `holdfast report`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
