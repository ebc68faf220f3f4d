"""Execution: who computes what, in which order, with how much memory."""
