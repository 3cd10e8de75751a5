"""What end-to-end tests are made of: a gateway in its own process, and a client of it."""
