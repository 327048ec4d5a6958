"""The API's four answers, combined into apireturns.txt: the same as `holdfast call`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
