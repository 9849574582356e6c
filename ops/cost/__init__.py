"""What a stack costs: list prices, what a plan costs while it is idle, and what a month of traffic costs.

`readplane cost` is the operators' command. These commands are for the project's own pages:

python -m ops.cost --plan       plan the stacks of the tables with a mocked provider, and write stacks.json
python -m ops.cost --docs       write the tables of README.md and docs/costs.md, and the chart, from these files
python -m ops.cost --check      fail if these aren't current
"""
