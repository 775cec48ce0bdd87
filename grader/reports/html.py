"""x"""
from grader.model import Report

__all__ = ["render_html"]


def render_html(report: Report) -> str:
    """X."""
    return "<!doctype html>"
