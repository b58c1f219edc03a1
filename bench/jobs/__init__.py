"""Jobs under load: how fast they are accepted, what Junto adds to each, and how many can wait in one process."""
