"""The written rules: train, window or dedicated window? Every rule, its number and its source."""
