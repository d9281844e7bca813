"""How values look on a page; display only."""
