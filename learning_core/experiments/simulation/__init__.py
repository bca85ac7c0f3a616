"""Experiments that never were, in thousands: how often would they have been wrong, and when decided?"""
