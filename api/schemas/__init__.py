"""Shapes on the wire: what is read strictly, and what answers look like."""
