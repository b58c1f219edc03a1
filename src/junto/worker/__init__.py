"""What takes jobs from the queue and the database and runs them: in the process that serves, or in one of its own."""
