"""Update rules and learning-rate schedules, as data and functions."""
