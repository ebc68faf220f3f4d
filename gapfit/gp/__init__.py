"""Gaussian-process algebra on plain arrays; knows no atoms."""
