"""Models: fetching, conversion, the local model server, the client."""
