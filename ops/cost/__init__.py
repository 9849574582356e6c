"""What a stack costs: list prices, what a plan costs while it is idle, and what traffic costs.

python -m ops.cost plan.json    print what the resources of a plan cost (`terraform show -json plan.out > plan.json`)
python -m ops.cost --plan       plan the stacks of README.md with a mocked provider, and write stacks.json
python -m ops.cost --docs       write the tables of README.md from prices.json, stacks.json and traffic.py
python -m ops.cost --check      fail if the tables of README.md aren't current
"""
