"""The words every room shares: settings, messages, topics, ids and time, errors, telemetry."""
