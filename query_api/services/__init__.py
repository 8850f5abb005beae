"""What the surfaces share; nothing here knows of HTTP."""
