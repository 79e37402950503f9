"""Scoring of evaluations: word errors under two normalisers, their uncertainty, tables and plots.

Everything here works on texts and plain results; no model is needed.
"""
