"""Cost, memory, schedules and benchmarks of models and configs."""
