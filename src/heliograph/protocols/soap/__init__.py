"""SOAP: reading XML from strangers, envelopes of both versions, descriptions of the services."""
