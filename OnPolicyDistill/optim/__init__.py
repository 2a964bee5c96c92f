"""Optimizer, schedules, clipping, accumulation."""
