"""The Falcon service: every HTTP surface."""
