"""Execution of a fit: tasks, their order, workers and memory."""
