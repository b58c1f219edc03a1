"""The steps from one revision of the schema to the next. Each is written once and never changed."""
