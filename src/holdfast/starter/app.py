"""The API on 127.0.0.1: the same as `holdfast serve`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
