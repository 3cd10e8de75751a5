"""Other gateways, set up as a sensible user would, to be measured beside Heliograph."""
