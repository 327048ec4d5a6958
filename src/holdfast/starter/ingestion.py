"""New data in input_folder_path becomes finaldata.csv and ingestedfiles.txt: the same as `holdfast ingest`."""

from holdfast.frontdoor import run_script

if __name__ == "__main__":
    run_script(__file__)
