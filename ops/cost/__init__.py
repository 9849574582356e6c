"""What a stack costs: list prices, what a plan costs while it is idle, and what traffic costs.

python -m ops.cost plan.json    print what the resources of a plan cost (`terraform show -json plan.out > plan.json`)
python -m ops.cost --plan       plan the stacks of the tables with a mocked provider, and write stacks.json
python -m ops.cost --docs       write the tables of README.md and docs/costs.md from these files
python -m ops.cost --check      fail if these tables aren't current
"""
