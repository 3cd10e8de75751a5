"""Queues that move work. The SQL row is the truth; losing a queue costs time and nothing else."""
