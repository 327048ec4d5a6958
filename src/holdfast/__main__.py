"""`python -m holdfast` and the command `holdfast`."""

from holdfast.frontdoor import main

if __name__ == "__main__":
    main()
