"""What several scripts of this folder use."""
