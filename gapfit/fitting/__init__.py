"""Fitting: from data and configuration to a model."""
