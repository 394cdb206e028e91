"""Cost, logs, features and comparisons of models."""
