"""The trained model's F1 on the test data goes to latestscore.txt: the same as `holdfast score`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
