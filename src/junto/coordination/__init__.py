"""What the processes of one Junto share besides the database: signals, the queue's doorbell, limits. Twins of each: memory, Redis."""
