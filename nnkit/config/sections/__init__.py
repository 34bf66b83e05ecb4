"""One module a config group: the dataclasses that its YAML options must fit. Ranges stand on the fields."""
