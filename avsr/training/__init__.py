"""Training: settings, data, objective, and runs that can be stopped and gone on with."""
