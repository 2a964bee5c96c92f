"""Rewards: plain functions that grade a completion, one file each."""
