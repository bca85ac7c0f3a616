"""Variants of an agent's prompt compared on live traffic: who meets which, and what that proves."""
