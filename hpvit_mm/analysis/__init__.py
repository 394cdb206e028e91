"""What is said about models and runs: the quick start and its report."""
