"""finaldata.csv becomes trainedmodel.pkl: the same as `holdfast train`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
