"""A lending desk, planted to break a rule."""

from deploy import __doc__ as how

HOW = how
