"""What the deployer does for each step of a plan, in order, with the exact commands."""
