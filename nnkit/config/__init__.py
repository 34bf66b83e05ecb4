"""Configuration: the schema, composing it, checking it."""
