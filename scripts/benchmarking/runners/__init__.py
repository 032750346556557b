"""One program for each software that is measured: run in that software's own environment, told by JSON what to do."""
