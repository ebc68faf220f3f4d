"""Configuration: the tables and keys of fit.toml."""
