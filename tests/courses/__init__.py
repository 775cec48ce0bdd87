"""Exercises in the form that public courses give them, in our own words."""
