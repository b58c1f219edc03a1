"""What `junto doctor` looks at, a file for each kind of thing. Looks only: nothing is made, started or changed."""
