"""Else the standard library's tests are found."""
