"""The bench: the worker beside its peers, its floor, its limits, its growth.

`make bench` makes the environments (build/ship-venv as the worker ships, build/bench-venv with the
peers) and runs everything into RESULTS.md and chart.svg; `make bench-quick` prints ratios.

One run: `race.lap` fills a queue, starts a contestant as a process of its own and takes marks
(`usage`) as the stub of the API (`stub`, `board`) says how many calls it has answered. What is run
is in `sections`, who takes part in `contestants` and `peers`, what is made of it in `report`.
"""
