"""What `junto doctor` looks at, a file for each kind of thing. Looks only: nothing is started or changed, and no file made but the lock."""
