"""The cost of a message stage by stage, measured on the real code inside one process."""
