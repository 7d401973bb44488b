"""The loops: pretraining and downstream; losses, schedules, seeding. One process, pure torch."""
