"""Installations that have grown: what makes them so, and a gateway that starts on them."""
