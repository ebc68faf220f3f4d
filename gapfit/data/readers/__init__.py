"""Readers of the files of other programs, one module each; `table` lists them."""
