"""`python -m holdfast` and the command `holdfast`."""

from holdfast.frontdoor import enter

if __name__ == "__main__":
    enter()
