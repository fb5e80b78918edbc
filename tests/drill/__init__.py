"""Drills of derrd: kills and damaged files, each with a result that is compared. See drill.py."""
