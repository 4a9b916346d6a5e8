"""A program that does nothing: what is left is the start of the interpreter and of whoever launched it."""
