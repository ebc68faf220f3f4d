"""What tests of one subject share, beside the general `builders`."""

import pkgutil

import pytest

pytest.register_assert_rewrite(
    *(f"helpers.{module.name}" for module in pkgutil.iter_modules(__path__))
)
